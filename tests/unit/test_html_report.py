"""The page: what its data hold, and that nothing in them can leave the place they stand in."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("matplotlib", reason="needs the extra [eval]")

from hypothesis import given
from hypothesis import strategies as st

from eval.comparison_forms import Table
from eval.html_report import PageParts, write_html
from eval.page_data import page_data, script_json
from eval.report import Report, SystemInfo
from eval.results import SystemResult
from kbqa_agent.types import QAExample

HOSTILE = '</script><img src=x onerror=alert(1)><!--"'
EXAMPLES = [
    QAExample("1", "李明是哪里人？", ("上海",), ("李明", "出生地", "上海")),
    QAExample("2", HOSTILE, ("b",)),
]
REPORT = Report(
    n_questions=2,
    seconds=0.5,
    questions_per_second=4.0,
    system=SystemInfo("none", index="my-index"),
    metrics={"mrr": 0.5},
    ceiling={"mrr": 0.9},
    confidence_intervals={"mrr": (0.25, 0.75)},
    risk_coverage={"aurc": 0.25, "ece": 0.1, "coverage": [1.0], "risk": [0.5]},
)


def said(subject: str, predicate: str, object_: str) -> dict[str, Any]:
    return {"id": 7, "subject": subject, "predicate": predicate, "object": object_}


ROWS: list[dict[str, Any]] = [
    {
        "id": "1",
        "gold": ["上海"],
        "answer": "大连",
        "confidence": 0.51234,
        "abstained": None,
        "candidates": [
            {"answer": "上海", "score": 0.2, "evidence": [said("李明", "出生地", "上海")]},
            {"answer": "北京", "score": 0.1, "evidence": []},
            {"answer": "天津", "score": 0.1, "evidence": []},
            {"answer": "大连", "score": 0.05, "evidence": [said("李明(球员)", "出生地", "大连")] * 9},
        ],
    },
    {"id": "2", "gold": ["b"], "answer": None, "confidence": 0.1, "abstained": "ambiguous", "candidates": []},
]
SYSTEM = SystemResult("ranker", REPORT, ROWS, note="what it was")


def test_the_first_candidates_and_the_told_one_are_kept_and_triples_told_once() -> None:
    data = page_data([SYSTEM], EXAMPLES, [{"1": "homonym", "2": "other"}])
    assert data["questions"][0] == ["1", "李明是哪里人？", ["上海"], 0, 0]
    assert data["questions"][1][3:] == [-1, -1]
    assert data["triples"] == [("李明", "出生地", "上海"), ("李明(球员)", "出生地", "大连")]
    first, second = data["rows"][0]
    assert first == [2, 0.5123, 1, "homonym", "", [[0, 0.2, [0]], ["北京", 0.1, []], [0, 0.05, [1, 1, 1, 1]]], ""]
    assert second == [None, 0.1, 2, "other", "ambiguous", [], ""]


def test_a_system_that_was_asked_fewer_questions_has_gaps() -> None:
    few = SystemResult("few", REPORT, ROWS[1:])
    assert page_data([few], EXAMPLES, [{}])["rows"][0][0] is None


def test_long_values_are_cut_and_marks_of_direction_left_out() -> None:
    long = QAExample("1", "长" * 1000 + "\u202e", ("a\u202eb",))
    ((_, question, gold, *_),) = page_data([], [long], [])["questions"]
    assert len(question) == 400
    assert question.endswith("长…")
    assert gold == ["ab"]


@given(st.text())
def test_json_in_a_script_says_the_same_and_cannot_end_it(text: str) -> None:
    written = script_json({"text": text})
    assert json.loads(written) == {"text": text}
    assert "<" not in written


class Parsed(HTMLParser):
    """The elements of a page, and the texts of its scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data):
        if self.tags and self.tags[-1][0] == "script" and self.cdata_elem:
            self.scripts[-1] += data


def page_of(results: list[SystemResult], out: Path, *tables: Table) -> str:
    groups = [{row["id"]: "other" for row in result.rows} for result in results]
    write_html(results, EXAMPLES, PageParts(HOSTILE, groups, {}, tables), out)
    return out.read_text(encoding="utf-8")


def test_the_page_asks_for_nothing_and_allows_one_script_by_its_hash(tmp_path: Path) -> None:
    hostile = SystemResult(HOSTILE, REPORT, ROWS, note=HOSTILE)
    page = page_of([hostile, SystemResult("broken", None, error=HOSTILE)], tmp_path / "report.html")
    parsed = Parsed(page)
    assert not {"img", "iframe", "object", "embed", "base"} & {tag for tag, _ in parsed.tags}
    assert [a for _, attrs in parsed.tags for a in attrs if a.startswith("on")] == []
    links = [v for _, attrs in parsed.tags for a, v in attrs.items() if a in ("src", "href", "action")]
    assert {link for link in links if link and not link.startswith("#")} == {"data:,"}
    data, script = parsed.scripts
    assert json.loads(data)["systems"] == [HOSTILE]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; script-src 'sha256-{digest}'" in page


def test_tables_stand_there_without_a_script(tmp_path: Path) -> None:
    page = page_of([SYSTEM], tmp_path / "report.html")
    text = re.sub(r"<[^>]+>", " ", page.partition("<body>")[2].partition('<section id="questions"')[0])
    for told in ("mrr", "0.5000", "0.2500 – 0.7500", "0.9000", "what it was", "my-index", "2 questions, one system"):
        assert told in " ".join(text.split())


def test_the_tables_of_a_comparison_stand_first_and_intervals_are_small(tmp_path: Path) -> None:
    table = Table("Each metric. Against base: * p < .05.", ["system", "mrr"], [["ranker", "0.926 (0.922 to 0.930) *"]])
    page = page_of([SYSTEM, SYSTEM], tmp_path / "report.html", table)
    assert page.index("<h2>Each metric</h2><p>Against base: * p &lt; .05.</p>") < page.index("<h2>Systems</h2>")
    assert '<td class="number">0.926 *<br><small>0.922 to 0.930</small></td>' in page


def test_nothing_but_failures_is_still_a_page(tmp_path: Path) -> None:
    page = page_of([SystemResult("broken", None, error="no such folder")], tmp_path / "report.html")
    assert "failed: no such folder" in page
    assert '"rows":[]' in page
