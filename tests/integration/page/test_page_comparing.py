"""Two systems side by side on the page: blind, votes, win rates."""

from __future__ import annotations

import pytest

from kbqa_agent.server import System


class Boaster:
    """A fake generator that always says the same."""

    name = "boaster"

    def score(self, prompt, answers):
        raise NotImplementedError

    def generate(self, prompts, max_new_tokens=48, *, among=None):
        return ["我" for _ in prompts]


@pytest.fixture
def site(open_site):
    """A site of the ranker and a boaster."""
    return open_site({"ranker": System("ranker"), "boaster": System("boaster", Boaster(), closed_book=True)})


def compare(page, question):
    page.click("#tab-compare")
    page.fill("#compared-question", question)
    page.press("#compared-question", "Enter")


def test_a_blind_vote_reveals_the_names_and_counts(site, visit, expect, check_access):
    page = visit(site)
    page.locator("#tab-ask").press("ArrowRight")
    expect(page.locator("#tab-compare")).to_be_focused()
    expect(page.locator("#rates")).to_have_text("No votes yet.")
    compare(page, "法国的首都是哪里？")
    sides = page.locator(".side")
    expect(sides).to_have_count(2)
    assert sorted(said.inner_text() for said in sides.locator(".said").all()) == ["巴黎", "我"]
    assert "boaster" not in page.locator("#sides").inner_text()
    check_access(page)
    winner = "left" if sides.first.locator(".said").inner_text() == "巴黎" else "right"
    page.click(f"[data-winner={winner}]")
    told = {"left": "Left: ranker; right: boaster.", "right": "Left: boaster; right: ranker."}
    expect(page.locator("#vote .kept")).to_contain_text(told[winner])
    expect(page.locator(".side.won .said")).to_have_text("巴黎")
    expect(page.locator("#rates tbody th")).to_have_text("boaster : ranker")
    expect(page.locator("#rates tbody td")).to_have_text(["0 : 1", "0", "1 of the 5 votes that it takes"])
    expect(page.locator("#compared-question")).to_be_focused()
    check_access(page)


def test_with_open_eyes_the_names_are_there_at_once(site, visit, expect):
    page = visit(site, width=375, locale="zh-CN")
    page.click("#tab-compare")
    page.select_option("#first-system", "boaster")
    expect(page.locator("#second-system")).to_have_value("ranker")
    page.uncheck("#blind")
    compare(page, "法国的首都是哪里？")
    expect(page.locator(".side > h2")).to_have_text(["左边 · boaster", "右边 · ranker"])
    page.click("[data-winner=tie]")
    expect(page.locator("#rates tbody td")).to_have_text(["0 : 0", "1", "共 0 票，满 5 票后显示"])
    assert page.evaluate("document.documentElement.scrollWidth") <= 375


def test_a_win_rate_has_five_votes(site, visit, expect):
    page = visit(site)
    row = '{"systems": ["boaster", "ranker"], "wins": [1, %d], "ties": 2, "win_rate": %s, "interval": [0.1, 0.5]}'
    body = f'{{"pairs": [{row % (3, 0.25)}, {row % (4, 0.2)}], "votes": 13}}'
    page.route("**/api/votes", lambda route: route.fulfill(status=200, body=body))
    page.click("#tab-compare")
    told = ["4 of the 5 votes that it takes", "20% (95 % interval 10% to 50%)"]
    expect(page.locator("#rates td:last-child")).to_have_text(told)


def test_two_answers_that_are_the_same_say_so(open_site, visit, expect):
    page = visit(open_site({"ranker": System("ranker"), "again": System("again")}))
    compare(page, "法国的首都是哪里？")
    expect(page.locator("#vote > p")).to_contain_text("Both say the same")
    page.fill("#compared-question", "月球的直径是多少？")
    page.press("#compared-question", "Enter")
    expect(page.locator("#vote > p")).to_contain_text("Both say the same")


def test_a_vote_that_comes_after_a_new_comparison_is_that_of_the_old_one(site, visit, expect):
    page = visit(site)
    compare(page, "法国的首都是哪里？")
    held = []

    def hold(route):
        if route.request.method == "POST":
            held.append(route)
        else:
            route.continue_()

    page.route("**/api/votes", hold)
    page.click("[data-winner=tie]")
    page.route("**/api/compare", hold)
    page.click("#comparison button")
    expect(page.locator("#sides .looking")).to_be_visible()
    held[0].continue_()
    expect(page.locator("#rates tbody td").nth(1)).to_have_text("1")
    held[1].continue_()
    expect(page.locator("[data-winner=tie]")).to_be_enabled()


def test_what_is_refused_is_told(site, visit, expect):
    page = visit(site, allowed=["404 (Not Found)"])
    compare(page, "法国的首都是哪里？")
    page.wait_for_selector("[data-winner=tie]")
    page.route("**/api/votes", lambda route: route.continue_(post_data='{"comparison_id": "x", "winner": "tie"}'))
    page.click("[data-winner=tie]")
    expect(page.locator("#vote .error")).to_contain_text("no such comparison of yours")
    expect(page.locator("[data-winner=tie]")).to_be_enabled()
