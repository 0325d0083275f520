"""`kbqa eval --systems`: one table of real systems, of which one fails, and what is not asked twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli import main
from kb_index import build_index
from kbqa_agent.sample import sample_test, sample_triples

SYSTEMS = """
[[system]]
name = "ranker"
[[system]]
name = "lexical"
ranker = "lexical"
limit = 20
[[system]]
name = "broken"
ranker = "no-such-folder"
"""


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("systems") / "index"
    build_index([sample_triples()], folder, progress=False)
    return folder


def run(index: Path, systems: Path, out: Path, *more: str):
    words = ["eval", "--index", str(index), "--questions", str(sample_test()), "--systems", str(systems)]
    return CliRunner().invoke(main, [*words, "--out", str(out), "--limit", "40", "--model", "none", *more])


def test_a_table_of_systems_of_which_one_fails(index: Path, tmp_path: Path) -> None:
    systems = tmp_path / "systems.toml"
    systems.write_text(SYSTEMS, encoding="utf-8")
    done = run(index, systems, tmp_path / "out")
    assert done.exit_code == 1, done.output
    assert "1 of 3 systems failed, the first is 'broken'" in done.stderr
    assert "FAILED: ranker no-such-folder" in done.stdout
    written = json.loads((tmp_path / "out" / "comparison.json").read_text(encoding="utf-8"))
    ranker, lexical, broken = written["systems"]
    assert (ranker["n_questions"], lexical["n_questions"]) == (40, 20)
    assert lexical["system"]["ranker"] == "lexical"
    assert broken["error"].startswith("ranker no-such-folder")
    assert written["differences"]["lexical"]["f1"]["n"] == 20
    assert ranker["metrics"]["f1"] > 0.7
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "failed: ranker no-such-folder" in page
    assert '"systems":["ranker","lexical"]' in page

    seconds = ranker["seconds"]
    again = run(index, systems, tmp_path / "out")
    assert again.stdout == done.stdout
    written = json.loads((tmp_path / "out" / "comparison.json").read_text(encoding="utf-8"))
    assert written["systems"][0]["seconds"] == seconds  # read, not asked
    fresh = run(index, systems, tmp_path / "out", "--fresh")
    assert fresh.exit_code == 1
    written = json.loads((tmp_path / "out" / "comparison.json").read_text(encoding="utf-8"))
    assert written["systems"][0]["seconds"] != seconds


def test_values_are_checked_before_the_first_system_is_asked(index: Path, tmp_path: Path) -> None:
    systems = tmp_path / "systems.toml"
    systems.write_text(f"{SYSTEMS}\n[[system]]\nname = 'last'\ngenerator = 'sometimes'\n", encoding="utf-8")
    done = run(index, systems, tmp_path / "out")
    assert done.exit_code == 1
    assert f"{systems}: last: generator='sometimes': expected 'always', 'unsure' or 'never'" in done.stderr
    assert not (tmp_path / "out").exists()


def test_where_no_system_can_be_evaluated_the_command_fails(index: Path, tmp_path: Path) -> None:
    systems = tmp_path / "systems.toml"
    systems.write_text("[[system]]\nname = 'a'\nranker = 'no-such-folder'\n", encoding="utf-8")
    done = run(index, systems, tmp_path / "out")
    assert done.exit_code == 1
    assert "no system could be evaluated; the first: ranker no-such-folder" in done.stderr


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--feedback", "words.sqlite"], "--feedback is for one system"),
        (["--fresh", "--systems", ""], "--fresh needs --systems"),
    ],
)
def test_options_that_do_not_go_together(index: Path, tmp_path: Path, more: list[str], told: str) -> None:
    words = ["eval", "--index", str(index), "--questions", str(sample_test()), "--out", str(tmp_path / "out")]
    named = [] if "--systems" in more else ["--systems", "x.toml"]
    done = CliRunner().invoke(main, [*words, *named, *(w for w in more if w not in ("--systems", ""))])
    assert done.exit_code == 2
    assert told in done.stderr


def test_a_model_behind_a_server_is_a_system(index: Path, tmp_path: Path, server) -> None:
    server.reply = lambda route, body: (200, {"choices": [{"message": {"content": "巴黎"}}]})
    systems = tmp_path / "systems.toml"
    systems.write_text(
        f"""
        [[system]]
        name = "GPT-4 class"
        model = "openai:{server.url}#gpt-4"
        generator = "always"
        free_text = true
        limit = 3
        """,
        encoding="utf-8",
    )
    done = run(index, systems, tmp_path / "out")
    assert done.exit_code == 0, done.output
    rows = (tmp_path / "out" / "systems" / "GPT-4-class" / "per_question.jsonl").read_text(encoding="utf-8")
    assert [json.loads(row)["answer"] for row in rows.splitlines()] == ["巴黎"] * 3
    n_asked = len(server.requests)
    run(index, systems, tmp_path / "out")
    assert len(server.requests) == n_asked  # the same address and name: read, not asked again
