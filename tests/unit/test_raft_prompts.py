"""Which questions RAFT trains on and which it measures on, and the prompts that they become."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from finetune.data import RowOptions
from finetune.raft import run
from finetune.raft_config import RaftConfig
from finetune.raft_prompts import RaftPrompt, prepare_prompts, prompts_from_questions, stage_prompts
from finetune.raft_reward import rule_reward
from kb_index.errors import InputError
from kb_index.types import Triple
from kbqa_agent.qa_data import write_nlpcc
from kbqa_agent.text2text import write_text2text
from kbqa_agent.types import QAExample

EXAMPLES = [QAExample(str(i), f"书{i}是谁写的？", (f"人{i}",), (f"书{i}", "作者", f"人{i}")) for i in range(50)]


def found(question: str) -> list[Triple]:
    name = question.removesuffix("是谁写的？")
    return [Triple(0, name, "作者", f"人{name[1:]}", 0), Triple(1, name, "语言", "中文", 0)]


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    write_nlpcc(EXAMPLES, tmp_path / "train.nlpcc")
    return tmp_path / "train.nlpcc"


def config(questions: Path, closed_book: bool = True, **settings) -> RaftConfig:
    return RaftConfig(questions=questions, out=questions.parent / "out", closed_book=closed_book, **settings)


def test_held_out_questions_are_in_no_stage(questions: Path) -> None:
    sets = prepare_prompts(config(questions, held_out_questions=7), progress=False)
    held_out = {prompt.text for prompt in sets.held_out}
    assert len(held_out) == 7
    assert len(sets.training) == 43
    assert not held_out & {prompt.text for prompt in sets.training}
    again = prepare_prompts(config(questions, held_out_questions=7), progress=False)
    assert again == sets
    other = prepare_prompts(config(questions, held_out_questions=7, seed=1), progress=False)
    assert other.held_out != sets.held_out


def test_a_question_asked_twice_is_held_out_with_its_twin(tmp_path: Path) -> None:
    twins = [*EXAMPLES[:5], *(QAExample(f"{e.id}b", f" {e.question}", e.answers) for e in EXAMPLES[:5])]
    write_nlpcc(twins, tmp_path / "twins.nlpcc")
    sets = prepare_prompts(config(tmp_path / "twins.nlpcc", held_out_questions=1), progress=False)
    assert (len(sets.held_out), len(sets.training)) == (1, 8)


def test_few_questions_give_a_fifth_at_most(questions: Path) -> None:
    assert len(prepare_prompts(config(questions), progress=False).held_out) == 10


def taught(folder: Path, numbers: range) -> Path:
    """The folder of an adapter that was trained on some of the questions."""
    folder.mkdir()
    write_text2text([(f"问：书{i}是谁写的？\n答：", f"人{i}") for i in numbers], folder / "rows.json")
    return folder


def test_what_the_start_was_trained_on_is_not_held_out(questions: Path, tmp_path: Path) -> None:
    start = taught(tmp_path / "start", range(40))
    sets = prepare_prompts(config(questions, held_out_questions=10, adapter=start), progress=False)
    assert {prompt.id for prompt in sets.held_out} == {str(i) for i in range(40, 50)}
    assert len(sets.training) == 40
    few = prepare_prompts(config(questions, held_out_questions=3, adapter=start), progress=False)
    assert len(few.held_out) == 3
    assert {int(prompt.id) for prompt in few.held_out} <= set(range(40, 50))


def test_a_start_that_was_trained_on_all_leaves_nothing_to_measure_on(questions: Path, tmp_path: Path) -> None:
    start, out = taught(tmp_path / "start", range(50)), tmp_path / "out"
    message = f"{questions}: '{start}' was trained on all of its questions, which leaves none to measure on; "
    with pytest.raises(InputError, match=f"^{re.escape(message)}name others with --held-out$"):
        run(config(questions, adapter=start), progress=False)
    assert not out.exists()
    out.mkdir()
    kept = {name: out / name for name in ("record.json", "training.jsonl", "held_out.jsonl", "comparison.json")}
    for name, path in kept.items():
        path.write_text(name, encoding="utf-8")
    with pytest.raises(InputError, match=r"--held-out$"):
        run(config(questions, adapter=start), progress=False)
    assert {path.name: path.read_text(encoding="utf-8") for path in out.iterdir()} == {name: name for name in kept}


def test_held_out_questions_that_the_start_was_trained_on_are_listed(questions: Path, tmp_path: Path) -> None:
    held_out = tmp_path / "held-out.nlpcc"
    write_nlpcc([QAExample("a", "另一个问题？", ("是",)), QAExample("b", "书99是谁写的？", ("人99",))], held_out)
    start = taught(tmp_path / "start", range(98, 100))
    with pytest.raises(
        InputError, match=r"held-out\.nlpcc: 1 of its questions were in the training of '.*start' \(b 书"
    ):
        prepare_prompts(config(questions, adapter=start, held_out=held_out), progress=False)
    assert (tmp_path / "out.overlap.tsv").read_text(encoding="utf-8") == "b\t书99是谁写的？\n"


def test_questions_that_are_trained_on_and_held_out_are_listed(questions: Path, tmp_path: Path) -> None:
    held_out = tmp_path / "test.nlpcc"
    write_nlpcc([QAExample("a", "另一个问题？", ("是",)), *EXAMPLES[3:5]], held_out)
    with pytest.raises(
        InputError, match=r"2 of its questions are in .*test\.nlpcc too \(3 书3是谁写的？, 4 书4是谁写的？\)"
    ):
        prepare_prompts(config(questions, held_out=held_out), progress=False)
    assert (tmp_path / "out.overlap.tsv").read_text(encoding="utf-8") == "3\t书3是谁写的？\n4\t书4是谁写的？\n"


def test_rows_that_are_prompts_already_are_compared_by_their_question(questions: Path, tmp_path: Path) -> None:
    write_text2text([("【书3】\n作者：人3\n问：书3是谁写的？\n答：", "人3")], tmp_path / "rows.json")
    with pytest.raises(InputError, match=r"1 of its questions are in .*\(3 书3是谁写的？\)"):
        prepare_prompts(config(questions, held_out=tmp_path / "rows.json"), progress=False)


def test_a_file_of_its_own_is_measured_on(questions: Path, tmp_path: Path) -> None:
    write_text2text(
        [("问：首都？\n答：", "北京"), ("【书】\n语言：中文\n问：谁？\n答：", "不知道")], tmp_path / "rows.json"
    )
    sets = prepare_prompts(config(questions, held_out=tmp_path / "rows.json"), progress=False)
    assert len(sets.training) == 50
    assert sets.held_out == [
        RaftPrompt("1", "问：首都？\n答：", ("北京",), "北京"),
        RaftPrompt("2", "【书】\n语言：中文\n问：谁？\n答：", (), "不知道"),
    ]


def test_questions_without_index_or_closed_book_are_refused(questions: Path) -> None:
    with pytest.raises(InputError, match=r"expected an --index .* or --closed-book"):
        prepare_prompts(config(questions, closed_book=False), progress=False)


def test_one_question_is_too_few(tmp_path: Path) -> None:
    write_nlpcc(EXAMPLES[:1], tmp_path / "one.nlpcc")
    with pytest.raises(InputError, match="0 prompts to train on and 1 to measure on; expected at least one of each"):
        prepare_prompts(config(tmp_path / "one.nlpcc"), progress=False)


def test_a_prompt_without_its_gold_triple_has_no_gold_answer() -> None:
    prompts = prompts_from_questions(EXAMPLES, found, RowOptions(min_triples=1, max_triples=2, unanswerable_share=0.5))
    unknown = [p for p in prompts if not p.gold]
    assert 10 < len(unknown) < 40
    assert all("作者：人" not in p.text for p in unknown)
    assert all(f"作者：{p.gold[0]}" in p.text for p in prompts if p.gold)


def test_the_target_is_what_the_prompt_holds_as_it_stands_there() -> None:
    long = "字" * 90
    triples = {
        "谁？": [Triple(0, "坛经", "作者", "六祖", 0)],
        "何？": [Triple(1, "坛经", "全文", f"{long}\u00a0完", 0)],
    }
    examples = [QAExample("1", "谁？", ("惠能", "六祖")), QAExample("2", "何？", (f"{long} 完",))]
    options = RowOptions(min_triples=1, unanswerable_share=0.0)
    several, cut = prompts_from_questions(examples, triples.__getitem__, options)
    assert (several.gold, several.target) == (("惠能", "六祖"), "六祖")
    assert (cut.gold, cut.target) == ((f"{long} 完",), "字" * 60)
    assert [rule_reward(prompt, prompt.target) for prompt in (several, cut)] == [1.0, 1.0]


def test_a_prompt_depends_on_its_own_question_only() -> None:
    together = prompts_from_questions(EXAMPLES, found, RowOptions())
    assert prompts_from_questions(EXAMPLES[10:20], found, RowOptions()) == together[10:20]


def test_stages_go_through_all_prompts_before_any_comes_again() -> None:
    prompts = [RaftPrompt(str(i), "", (), "") for i in range(10)]
    drawn = [[p.id for p in stage_prompts(prompts, stage, 4, seed=0)] for stage in (1, 2, 3, 4, 5)]
    assert [len(ids) for ids in drawn] == [4] * 5
    flat = [i for ids in drawn for i in ids]
    assert sorted(flat[:10]) == sorted(flat[10:]) == sorted(p.id for p in prompts)
    assert flat[:10] != flat[10:]
    assert drawn[0] == [p.id for p in stage_prompts(prompts, 1, 4, seed=0)]
    assert drawn[0] != [p.id for p in stage_prompts(prompts, 1, 4, seed=1)]
    assert len(stage_prompts(prompts, 1, 99, seed=0)) == 10
