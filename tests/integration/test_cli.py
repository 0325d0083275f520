import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from cli import main
from kbqa_agent.qa_data import read_questions, write_nlpcc
from kbqa_agent.sample import sample_test, sample_train, sample_triples


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli") / "index"
    result = run("index", sample_triples(), "--out", folder)
    assert result.exit_code == 0, result.stderr
    return folder


def run(*arguments, text=None):
    return CliRunner().invoke(main, [str(a) for a in arguments], input=text)


def test_index_says_what_was_loaded(index, tmp_path):
    (tmp_path / "my.kb").write_text("坛经 ||| 作者 ||| 惠能\n坛经 ||| 作者 ||| 惠能\n没有三部分\n", encoding="utf-8")
    result = run("index", tmp_path / "my.kb", "--out", tmp_path / "index")
    assert "1 triples of 1 entities" in result.stdout
    assert "3 lines, 1 duplicate, 1 rejected" in result.stdout
    reject = json.loads((tmp_path / "index" / "rejects.jsonl").read_text(encoding="utf-8"))
    assert (reject["line"], reject["text"]) == (3, "没有三部分")


def test_ask_prints_the_answer_with_its_triple(index):
    result = run("ask", "法国的首都是哪里？", "--index", index, "--model", "none")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].startswith("巴黎  (")
    assert lines[1].endswith("法国 | 首都 | 巴黎")


def test_a_question_may_be_several_words(index):
    one = run("ask", "capital of 法国", "--index", index, "--model", "none")
    assert run("ask", "capital", "of", "法国", "--index", index, "--model", "none").stdout == one.stdout


def test_a_new_build_says_that_the_ranker_of_the_old_index_is_gone(tmp_path):
    (tmp_path / "my.kb").write_text("坛经 ||| 作者 ||| 惠能\n", encoding="utf-8")
    build = ("index", tmp_path / "my.kb", "--out", tmp_path / "index")
    assert "ranker" not in run(*build).stdout
    (tmp_path / "index" / "ranker").mkdir()
    assert f"train one: kbqa finetune ranker --index {tmp_path / 'index'}" in run(*build).stdout


def test_ask_json_has_the_documented_keys(index):
    result = run("ask", "法国的首都是哪里？", "--index", index, "--model", "none", "--json")
    answer = json.loads(result.stdout)
    documented = {"question", "answer", "confidence", "abstained", "mentions", "candidates", "timings_ms"}
    assert documented <= answer.keys()
    assert answer["answer"] == "巴黎"
    assert answer["mentions"][0] == {"text": "法国", "start": 0, "end": 2, "entity": "法国"}
    assert answer["candidates"][0]["evidence"][0].keys() >= {"id", "subject", "predicate", "object"}


def test_ask_why_explains_the_answer(index):
    asked = ("ask", "法国的首都是哪里？", "--index", index, "--model", "none", "--why")
    lines = run(*asked).stdout.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("答案是“巴黎”"))
    assert lines[at + 1] == "它排在前面，主要因为（排序模型的分数）："
    explanation = json.loads(run(*asked, "--json").stdout)["explanation"]
    assert explanation["sentence"] == lines[at]
    assert explanation["decided_by"] == "ranker"
    assert {"text", "weight", "features"} == set(explanation["reasons"][0])


def test_marks_that_turn_the_direction_of_writing_reach_no_terminal(tmp_path):
    (tmp_path / "my.kb").write_text("坛经 ||| 作者 ||| 神\u202e秀\u2066惠\u200f能\n", encoding="utf-8")
    run("index", tmp_path / "my.kb", "--out", tmp_path / "index")
    asked = ("ask", "坛经的作者是谁？", "--index", tmp_path / "index", "--model", "none")
    shown = run(*asked, "--why").stdout + run("chat", *asked[2:], text=f"{asked[1]}\n").stdout
    assert shown.count("神秀惠能") >= 5
    assert not set(shown) & set("\u202e\u2066\u200f")
    assert json.loads(run(*asked, "--json").stdout)["answer"] == "神\u202e秀\u2066惠\u200f能"


def test_the_index_may_come_from_the_environment(index, monkeypatch):
    monkeypatch.setenv("KBQA_INDEX", str(index))
    monkeypatch.setenv("KBQA_MODEL", "none")
    assert run("ask", "法国的首都是哪里？").stdout.startswith("巴黎")


def test_chat_reads_questions_from_a_pipe_and_understands_follow_ups(index):
    result = run("chat", "--index", index, "--model", "none", text="法国的首都是哪里？\n\n那日本呢？\n")
    assert result.exit_code == 0
    heads = [line.split("  ")[0] for line in result.stdout.splitlines() if not line.startswith(" ")]
    assert heads == ["巴黎", "东京"]


def test_a_process_that_chats_ends_without_a_word_on_what_it_still_holds(index):
    command = [sys.executable, "-m", "cli", "chat", "--index", str(index), "--model", "none"]
    done = subprocess.run(command, input="法国的首都是哪里？\n", capture_output=True, text=True, check=True)
    assert done.stdout.startswith("巴黎")
    assert done.stderr == ""


def test_eval_writes_the_documented_files(index, tmp_path):
    out = tmp_path / "report"
    result = run("eval", "--index", index, "--questions", sample_test(), "--out", out, "--model", "none", "--limit", 40)
    assert result.exit_code == 0, result.stderr
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert report["n_questions"] == 40
    assert {"mrr", "map", "hits@1", "hits@5", "f1", "exact_match", "bleu", "rouge_1", "rouge_2", "rouge_l"} <= report[
        "metrics"
    ].keys()
    assert report["metrics"]["mrr"] > 0.6
    rows = [json.loads(line) for line in (out / "per_question.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 40
    assert {"id", "gold", "question", "answer", "candidates"} <= rows[0].keys()
    assert (out / "predictions.nlpcc").read_text(encoding="utf-8").count("<question id=") == 40
    assert (out / "report.md").is_file()
    assert list((out / "plots").glob("*.png"))


def test_eval_tests_silence_and_max_risk_withholds(index, tmp_path):
    asked = ("eval", "--index", index, "--questions", sample_test(), "--model", "none", "--limit", 30)
    result = run(*asked, "--out", tmp_path / "silence", "--unanswerable", "--max-risk", "0.001")
    assert result.exit_code == 0, result.stderr
    assert "## Silence" in result.stdout
    figures = json.loads((tmp_path / "silence" / "report.json").read_text(encoding="utf-8"))["unanswerable"]
    assert sum(kind["n"] for kind in figures["unanswerable"].values()) >= 15
    assert figures["told"]["risk"] <= figures["risk"]
    assert sum(figures["told"]["silent"].values()) > 15
    assert run(*asked, "--out", tmp_path / "none", "--max-risk", "0").exit_code == 2


def test_eval_says_which_share_of_answerable_questions_it_expects(index, tmp_path):
    asked = ("eval", "--index", index, "--questions", sample_test(), "--model", "none", "--limit", 40)
    for name, more, expected in (
        ("plain", (), 0.9),
        ("told", ("--answerable", "0.97"), 0.97),
        ("half", ("--unanswerable",), 0.5),
    ):
        result = run(*asked, "--out", tmp_path / name, *more)
        assert result.exit_code == 0, result.stderr
        figures = json.loads((tmp_path / name / "report.json").read_text(encoding="utf-8"))["answerable"]
        assert figures["expected"] == expected
        assert figures["intervals"].keys() == {"estimated", "ece_if_told"}
        assert f"said for a share of {expected:g} (`--answerable`)" in result.stdout
    assert run(*asked, "--out", tmp_path / "none", "--answerable", "0").exit_code == 2


def test_a_user_who_expects_few_answers_is_told_less(index):
    confidence = [
        json.loads(run("ask", "法国的首都是哪里？", "--index", index, "--model", "none", "--json", *more).stdout)[
            "confidence"
        ]
        for more in (("--answerable", "0.1"), (), ("--answerable", "1"))
    ]
    assert confidence == sorted(confidence)
    assert confidence[0] < confidence[-1] - 0.01


@pytest.mark.slow
def test_a_ranker_trained_on_the_sample_is_used_from_then_on(index, tmp_path):
    from kbqa_agent.sample import sample_train

    trained = run("finetune", "ranker", "--questions", sample_train(), "--index", index, "--out", tmp_path / "ranker")
    assert trained.exit_code == 0, trained.stderr
    assert "held-out MRR" in trained.stdout
    (tmp_path / "ranker").rename(index / "ranker")
    try:
        assert run("ask", "法国的首都是哪里？", "--index", index, "--model", "none").stdout.startswith("巴黎")
        (index / "ranker" / "patterns.safetensors").write_bytes(b"broken")
        broken = run("ask", "法国的首都是哪里？", "--index", index, "--model", "none")
        assert (broken.exit_code, broken.stderr.count("\n")) == (1, 1)
        assert "train it again" in broken.stderr
    finally:
        (index / "ranker").rename(tmp_path / "aside")


def bad_calls(index, folder):
    (folder / "empty.kb").write_text("")
    (folder / "binary.kb").write_bytes(b"\x00\x01\x02" * 100)
    (folder / "gbk.kb").write_bytes("坛经 ||| 作者 ||| 惠能\n".encode("gbk") * 3)
    (folder / "prose.kb").write_text("这不是三元组\n" * 1200, encoding="utf-8")
    (folder / "notes").mkdir()
    (folder / "notes" / "mine.txt").write_text("keep me")
    out = folder / "out"
    ask = ("--index", index, "--model", "none")
    return {
        "missing file": (("index", folder / "nowhere.kb", "--out", out), "no such file"),
        "empty file": (("index", folder / "empty.kb", "--out", out), "empty"),
        "binary file": (("index", folder / "binary.kb", "--out", out), "binary"),
        "other encoding": (("index", folder / "gbk.kb", "--out", out), "not UTF-8"),
        "other format": (("index", folder / "prose.kb", "--out", out), "|||"),
        "folder of something else": (("index", sample_triples(), "--out", folder / "notes"), "no index"),
        "empty question": (("ask", "", *ask), "empty"),
        "endless question": (("ask", "长" * 100_000, *ask), "100,000"),
        "no index": (("ask", "谁？", "--index", folder / "notes", "--model", "none"), "index"),
        "missing index": (("ask", "谁？", "--index", folder / "nowhere", "--model", "none"), "nowhere"),
        "no such questions": (("eval", *ask, "--questions", folder / "no.nlpcc", "--out", out), "no.nlpcc"),
        "questions in another format": (("eval", *ask, "--questions", folder / "prose.kb", "--out", out), "prose.kb"),
        "closed book without a model": (("ask", "谁？", *ask, "--closed-book"), "closed-book"),
        "rows without triples": (("finetune", "sft", "--questions", sample_test(), "--out", out), "--index"),
    }


def test_bad_input_gets_one_line_and_status_1_and_leaves_nothing_behind(index, tmp_path):
    for name, (arguments, message) in bad_calls(index, tmp_path).items():
        result = run(*arguments)
        assert result.exit_code == 1, name
        last = result.stderr.strip().splitlines()[-1]
        assert last.startswith("kbqa: "), name
        assert message in last, name
        assert "Traceback" not in result.stderr, name
        assert not (tmp_path / "out").exists(), name
    assert (tmp_path / "notes" / "mine.txt").read_text() == "keep me"


def test_a_failed_build_leaves_the_old_index(index, tmp_path):
    (tmp_path / "empty.kb").write_text("")
    assert run("index", tmp_path / "empty.kb", "--out", index).exit_code == 1
    assert run("ask", "法国的首都是哪里？", "--index", index, "--model", "none").stdout.startswith("巴黎")


def test_wrong_usage_is_status_2(index):
    assert run("ask", "--index", index).exit_code == 2
    assert run("ask", "谁？", "--index", index, "--generator", "sometimes").exit_code == 2


def test_every_command_has_help_with_an_example():
    for command in (
        ["index"],
        ["ask"],
        ["chat"],
        ["demo"],
        ["eval"],
        ["finetune", "ranker"],
        ["finetune", "sft"],
        ["doctor"],
    ):
        assert "Example: kbqa" in run(*command, "--help").stdout


def test_chat_goes_on_after_a_question_that_it_cannot_read(index):
    result = run("chat", "--index", index, "--model", "none", text="长" * 3000 + "\n法国的首都是哪里？\n")
    assert result.exit_code == 0
    assert "3,000 characters" in result.stderr
    assert result.stdout.startswith("巴黎")


@pytest.mark.slow
def test_the_demo_runs_from_end_to_end(tmp_path):
    result = run("demo", "--out", tmp_path / "demo", "--steps", 1)
    assert result.exit_code == 0, result.stderr
    assert "巴黎" in result.stdout
    assert "held-out MRR" in result.stdout
    assert "| mrr |" in result.stdout
    assert (tmp_path / "demo" / "report" / "report.json").is_file()


def test_the_demo_stops_at_the_first_step_that_fails(tmp_path):
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "index").mkdir()
    (tmp_path / "demo" / "index" / "mine.txt").write_text("keep me")
    result = run("demo", "--out", tmp_path / "demo")
    assert result.exit_code == 1
    assert "Everything is in" not in result.stdout
    assert (tmp_path / "demo" / "index" / "mine.txt").read_text() == "keep me"


def test_a_report_is_not_written_among_other_files(index, tmp_path):
    (tmp_path / "report.md").write_text("mine")
    result = run("eval", "--index", index, "--questions", sample_test(), "--out", tmp_path, "--model", "none")
    assert result.exit_code == 1
    assert result.stderr.strip().splitlines()[-1].startswith("kbqa: ")
    assert (tmp_path / "report.md").read_text() == "mine"


def test_an_interrupt_is_told_in_one_line(index, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("kbqa_agent.agent.KBQAgent.ask", interrupted)
    result = run("ask", "谁？", "--index", index, "--model", "none")
    assert (result.exit_code, result.stderr) == (130, "kbqa: interrupted; what was there before is as it was\n")


def test_eval_scores_a_file_of_predictions_without_an_index(index, tmp_path, monkeypatch):
    asked = ("eval", "--questions", sample_test(), "--model", "none", "--limit", 20)
    assert run(*asked, "--index", index, "--out", tmp_path / "out").exit_code == 0
    evaluated = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))["metrics"]
    kept = read_questions(tmp_path / "out" / "predictions.nlpcc")
    gold = {e.id: e for e in read_questions(sample_test())}
    write_nlpcc([gold[e.id] for e in kept], tmp_path / "gold.nlpcc")
    monkeypatch.delenv("KBQA_INDEX", raising=False)
    given = ("eval", "--questions", tmp_path / "gold.nlpcc")
    predictions = ("--predictions", tmp_path / "out" / "predictions.nlpcc")
    result = run(*given, *predictions, "--out", tmp_path / "score")
    assert result.exit_code == 0, result.stderr
    scored = json.loads((tmp_path / "score" / "report.json").read_text(encoding="utf-8"))["metrics"]
    assert scored == pytest.approx({name: evaluated[name] for name in scored})
    assert f"| f1 | {scored['f1']:.4f} |" in result.stdout
    assert run(*given, "--out", tmp_path / "none").exit_code == 2
    assert run(*given, *predictions, "--out", tmp_path / "none", "--limit", 5).exit_code == 2
    other = run(*given, "--predictions", sample_train(), "--out", tmp_path / "none")
    assert other.exit_code == 1
    assert other.stderr.count("\n") == 1
