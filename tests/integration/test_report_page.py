"""The page in a real browser: filters, pages, hostile values, themes, a phone's width, and no request that leaves it.

Chromium is the one on the PATH, or Playwright's own (`playwright install chromium`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("matplotlib", reason="needs the extra [eval]")
pytest.importorskip("playwright.sync_api", reason="needs the package playwright")

from playwright import sync_api

from eval.comparison_forms import Table
from eval.illustrated import illustrate_several
from eval.report import Report, SystemInfo
from eval.results import SystemResult
from kb_index.types import Entity, Triple
from kbqa_agent.types import QAExample

HOSTILE = "</script><img src=x onerror=\"document.title='hacked'\"><!--"
N = 120
PATIENCE = 60_000  # milliseconds, for a busy machine


class Kb:
    """Every name has one entity, of which nothing is said."""

    def entities_named(self, name: str) -> list[Entity]:
        return [Entity(0, name)]

    def triples_of(self, ids: Any) -> list[Triple]:
        return []


def row(number: int, *, right: bool) -> dict[str, Any]:
    answer = f"答{number}" if right else HOSTILE if number == 3 else None if number % 10 == 5 else "错"
    said = {"id": number, "subject": f"甲{number}", "predicate": "作者", "object": answer or "错"}
    return {
        "id": str(number),
        "gold": [f"答{number}"],
        "answer": answer,
        "confidence": number / N,
        "abstained": None if answer else "low_confidence",
        "mentions": [],
        "candidates": [{"answer": said["object"], "score": 0.5, "evidence": [said]}],
    }


def example(number: int) -> QAExample:
    asked, answer = "作者" if number % 4 else "编者", f"答{number}"
    triple = None if number % 4 else ("甲", asked, answer)
    return QAExample(str(number), f"甲{number}的{asked}是谁？", (answer,), triple)


EXAMPLES = [example(number) for number in range(N)]
REPORT = Report(
    n_questions=N,
    seconds=1.0,
    questions_per_second=N,
    system=SystemInfo("none"),
    metrics={"mrr": 0.5, "f1": 0.5},
    ceiling=None,
    confidence_intervals={"mrr": (0.4, 0.6), "f1": (0.4, 0.6)},
    risk_coverage={"aurc": 0.25, "ece": 0.1, "coverage": [0.5, 1.0], "risk": [0.0, 0.5]},
)
SYSTEMS = [
    SystemResult("排序器", REPORT, [row(n, right=n % 2 == 0) for n in range(N)]),
    SystemResult(HOSTILE, REPORT, [row(n, right=True) for n in range(10)]),
    SystemResult("broken", None, error=HOSTILE),
]
WIDE = Table("Scores. All of them.", ["system", *"abcdefghijkl"], [["排序器", *["0.926 (0.922 to 0.930)"] * 12]])


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("page")
    asked = [
        e if int(e.id) % 4 else QAExample(e.id, e.question, e.answers, ("甲", "编者", e.answers[0])) for e in EXAMPLES
    ]
    illustrate_several(SYSTEMS, asked, Kb(), [WIDE], out)
    return (out / "report.html").as_uri()


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    """The page, open; after the test nothing was complained of and nothing asked for but the page itself."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    context.set_default_timeout(PATIENCE)
    opened = context.new_page()
    complaints: list[str] = []
    requests: list[str] = []
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("request", lambda request: requests.append(request.url))
    opened.goto(address)
    opened.wait_for_selector("#answers tbody tr")
    yield opened
    assert complaints == []
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
    assert len([url for url in requests if url.startswith("file:")]) == 1
    context.close()


def count(page: Any, expected: int) -> None:
    sync_api.expect(page.locator("#count")).to_have_text(re.compile(rf"^{expected} of "))


def test_filters_let_through_what_they_say(page: Any) -> None:
    count(page, N)
    page.select_option("#verdict", "0")
    count(page, N // 2)
    page.select_option("#verdict", "2")
    count(page, 12)
    assert page.locator("#answers tbody tr").first.locator(".verdict").inner_text() == "silent"
    page.click("#filters button[type=reset]")
    count(page, N)
    page.fill("#text", "甲7 是谁")
    count(page, 11)
    page.fill("#text", "")
    page.fill("#attribute", "编者")
    count(page, N // 4)
    page.fill("#attribute", "")
    page.fill("#least", "0.5")
    page.fill("#most", "0.6")
    count(page, 13)
    page.select_option("#order", "high")
    sync_api.expect(page.locator("#answers tbody tr").first).to_contain_text("id 72")
    page.click("#filters button[type=reset]")
    page.select_option("#system", "")
    count(page, N + 10)


def test_a_number_of_the_errors_leads_to_its_answers(page: Any) -> None:
    page.click("a[data-system='0'][data-group='other']")
    sync_api.expect(page.locator("#group")).to_have_value("other")
    shown = page.locator("#count").inner_text()
    assert int(shown.split()[0]) == int(page.inner_text("a[data-system='0'][data-group='other']"))


def test_pages_of_answers(page: Any) -> None:
    pager = page.locator(".pages").first
    assert pager.locator("span").inner_text() == "page 1 of 3"
    assert pager.locator("button").first.is_disabled()
    pager.locator("button").last.press("Enter")
    pager.locator("button").last.press("Enter")
    assert pager.locator("span").inner_text() == "page 3 of 3"
    assert page.locator("#answers tbody tr").count() == 20


def test_a_hostile_value_is_text(page: Any) -> None:
    page.fill("#text", "onerror")
    count(page, 1)
    assert HOSTILE in page.locator("#answers tbody tr").first.inner_text()
    assert HOSTILE in page.locator("body").inner_text()
    assert page.locator("img").count() == 0
    assert page.title() == "Systems side by side"


def test_a_row_shows_question_gold_answer_evidence_and_candidates(page: Any) -> None:
    page.fill("#text", "答8")
    first = page.locator("#answers tbody tr").first
    for told in ("甲8的编者是谁？", "答8", "甲8 | 作者 | 答8", "right", "confidence 0.067", "甲 | 编者 | 答8"):
        sync_api.expect(first).to_contain_text(told)
    first.locator("summary").press("Enter")
    assert first.locator("li").first.is_visible()


def test_light_and_dark_by_the_system_and_by_the_button(page: Any) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate(ground)
    assert light != dark
    assert page.inner_text("#theme") == "Light"
    page.click("#theme")
    assert page.evaluate(ground) == light
    assert page.evaluate("getComputedStyle(document.querySelector('.plot svg')).color") == "rgb(28, 31, 35)"


@pytest.mark.parametrize("width", [320, 375, 768, 1280])
def test_the_page_never_scrolls_sideways(page: Any, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_tables_are_there_without_scripts(browser: Any, address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    text = page.inner_text("body")
    assert "0.922 to 0.930" in text
    assert "With JavaScript, every answer can be searched here." in text
    assert page.locator("#filters").is_hidden()
    assert page.locator("#theme").is_hidden()
    context.close()
