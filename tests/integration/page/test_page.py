"""Asking on the page: dialogues, evidence, streaming, homonyms."""

from __future__ import annotations

import re

from kbqa_agent.server import System

HOSTILE = "</script><img src=x onerror=\"document.title='hacked'\"><!--"


def test_a_dialogue_with_a_follow_up_outlives_a_new_visit(open_site, visit, ask, expect):
    page = visit(open_site())
    first = ask(page, "红楼梦的作者是谁？")
    expect(first.locator(".said")).to_have_text("曹雪芹")
    expect(first.locator(".sure")).to_have_text("90% sure")
    expect(first.locator(".evidence .card")).to_have_text("红楼梦作者曹雪芹")
    named = ["曹雪芹", "石头记", "章回体长篇小说", "73万", "1791年"]
    expect(first.locator(".candidates summary .named")).to_have_text(named)
    expect(first.locator(".candidates summary .share")).to_have_text(["90%", "1.5%", "1.5%", "1.5%", "1.5%"])
    second = ask(page, "他的出生地呢？")
    expect(second.locator(".said")).to_have_text("南京")
    expect(second.locator(".understood")).to_have_text(re.compile("^Understood as: 曹雪芹的出生地"))
    expect(page.locator("#dialogues .entry")).to_have_text(re.compile("^红楼梦的作者是谁？2 questions"))
    page.reload()
    expect(page.locator("#turns .said")).to_have_text(["曹雪芹", "南京"])
    third = ask(page, "人口呢？")
    expect(third.locator(".said")).to_have_text("949万")


def test_dialogues_are_opened_again_and_deleted(open_site, visit, ask, expect):
    page = visit(open_site())
    ask(page, "红楼梦的作者是谁？")
    page.click("#new-dialogue")
    expect(page.locator("#welcome")).to_be_visible()
    ask(page, "法国的首都是哪里？")
    expect(page.locator("#dialogues .entry .value")).to_have_text(["法国的首都是哪里？", "红楼梦的作者是谁？"])
    page.locator("#dialogues .entry").nth(1).click()
    expect(page.locator("#turns .said")).to_have_text(["曹雪芹"])
    page.locator("#dialogues .delete").nth(1).click()
    expect(page.locator("#dialogues .delete").nth(1)).to_have_text("Really delete?")
    page.locator("#dialogues .delete").nth(1).click()
    expect(page.locator("#dialogues .entry .value")).to_have_text(["法国的首都是哪里？"])
    expect(page.locator("#welcome")).to_be_visible()
    expect(page.locator("#announcer")).to_have_text(re.compile("The dialogue is deleted"))


def test_a_dialogue_that_could_not_be_deleted_stays(open_site, visit, ask, expect):
    page = visit(open_site(), allowed=["503 (Service Unavailable)"])
    ask(page, "红楼梦的作者是谁？")
    page.route("**/api/dialogues/*", lambda route: route.fulfill(status=503, body="{}"))
    page.locator("#dialogues .delete").click()
    page.locator("#dialogues .delete").click()
    expect(page.locator("#dialogues .error")).to_have_text("The server has too much to do.")
    expect(page.locator("#turns .said")).to_have_text("曹雪芹")
    assert "deleted" not in page.locator("#announcer").inner_text()


def test_back_and_forward_lead_from_dialogue_to_dialogue(open_site, visit, ask, expect):
    page = visit(open_site())
    ask(page, "红楼梦的作者是谁？")
    page.click("#new-dialogue")
    ask(page, "法国的首都是哪里？")
    page.go_back()
    expect(page.locator("#turns .said")).to_have_text(["曹雪芹"])
    expect(page.locator("#dialogues [aria-current] .value")).to_have_text("红楼梦的作者是谁？")
    page.go_forward()
    expect(page.locator("#turns .said")).to_have_text(["巴黎"])


def test_a_dialogue_that_is_gone_is_told_and_a_new_one_begins(open_site, visit, ask, expect):
    site = open_site()
    page = visit(site, allowed=["404 (Not Found)"])
    ask(page, "红楼梦的作者是谁？")
    page.evaluate("fetch(`api/dialogues/${location.hash.slice(1)}`, { method: 'DELETE' })")
    turn = ask(page, "他的出生地呢？")
    expect(turn.locator(".error")).to_have_text("This dialogue is not there any more: it was deleted.")
    turn.get_by_role("button", name="Ask in a new dialogue").click()
    expect(page.locator("#turns > li")).to_have_count(1)
    expect(page.locator("#turns article")).to_have_attribute("aria-busy", "false")
    for address in ("?1#%", "?2#nowhere"):  # with another query the page is loaded anew
        page.goto(site.url + address)
        expect(page.locator("#facts")).not_to_be_empty()
        expect(page.locator("#welcome")).to_be_visible()
    expect(page.locator("#notice")).to_have_text("This dialogue is not there any more: it was deleted.")


def test_a_long_value_is_cut_everywhere_and_opens(open_site, visit, ask, expect):
    page = visit(open_site())
    turn = ask(page, "藏书楼的藏书是什么？")
    assert turn.bounding_box()["height"] < 1500
    expect(turn.locator(".candidates .named").first).to_have_text(re.compile("^.{300}…$"))
    said = turn.locator(".said")
    said.get_by_role("button", name="show all").click()
    expect(said).to_have_text(re.compile("^.{800} show less$"))
    said.get_by_role("button", name="show less").click()
    expect(said).to_have_text(re.compile("^.{300}… show all$"))


def test_pieces_appear_before_the_answer_and_can_be_stopped(open_site, visit, expect, writer):
    page = visit(open_site({"slow": System("slow", writer, free_text=True)}))
    page.fill("#question", "红楼梦的作者是谁？")
    page.press("#question", "Enter")
    article = page.locator("#turns article")
    expect(article.locator(".so-far .named").first).to_have_text("曹雪芹")
    writer.lets.release()
    expect(article.locator(".pieces")).to_have_text("曹雪芹")
    expect(article).to_have_attribute("aria-busy", "true")
    expect(article.locator(".feedback")).to_have_count(0)
    writer.lets.release()
    expect(article).to_have_attribute("aria-busy", "false")
    expect(article.locator(".said")).to_have_text("曹雪芹写的")
    expect(article.locator(".doubt")).to_have_text("The model's own words: no fact of the knowledge base backs this.")
    page.fill("#question", "红楼梦的作者是谁？")
    page.press("#question", "Enter")
    page.click("#stop")
    expect(page.locator("#turns > li").nth(1).locator("article")).to_have_text("Stopped.Try again")
    expect(page.locator("#send")).to_be_visible()
    writer.lets.release(2)


def test_homonyms_are_buttons(open_site, visit, ask, expect):
    page = visit(open_site())
    asked = ask(page, "李明的出生地是哪里？")
    expect(asked.locator(".silence")).to_have_text("Several things have that name. Which one do you mean?")
    expect(asked.locator(".choices button")).to_have_text(["1. 李明(画家)", "2. 李明(歌手)"])
    asked.locator(".choices button").nth(1).press("Enter")
    picked = page.locator("#turns > li").nth(1)
    expect(picked.locator(".said")).to_have_text("台北")
    expect(picked.locator(".asked")).to_have_text("You asked: 李明(歌手)")
    expect(asked.locator(".choices button")).to_have_count(0)  # a number would now pick something else
    expect(asked.locator(".choices li")).to_have_text(["1. 李明(画家)", "2. 李明(歌手)"])


def test_homonyms_share_what_is_certain(open_site, visit, ask, expect):
    page = visit(open_site())
    asked = ask(page, "李明的出生地是哪里？")
    expect(asked.locator(".candidates h3")).to_have_text("Candidates, each as a share of all of that name")
    expect(asked.locator(".candidates .share")).to_have_text(["50%", "50%"])


def test_a_homonym_that_others_begin_with_is_picked_by_its_number(open_site, visit, ask, expect):
    page = visit(open_site())
    asked = ask(page, "张伟的职业是什么？")
    expect(asked.locator(".choices button")).to_have_text(["1. 张伟 · 律师", "2. 张伟(演员)"])
    asked.locator(".choices button").first.click()
    picked = page.locator("#turns > li").nth(1)
    expect(picked.locator(".said")).to_have_text("律师")
    expect(picked.locator(".asked")).to_have_text("You asked: #1")


def test_all_values_have_their_evidence(open_site, visit, ask, expect):
    page = visit(open_site())
    turn = ask(page, "红高粱的主演有哪些？")
    expect(turn.locator(".values li")).to_have_text(["姜文", "巩俐"])
    expect(turn.locator(".evidence .card")).to_have_text(["红高粱主演姜文", "红高粱主演巩俐"])


def test_a_hostile_value_is_text(open_site, visit, ask, expect):
    page = visit(open_site())
    turn = ask(page, f"“{HOSTILE}”的名言是什么？")
    expect(turn.locator(".said")).to_have_text(HOSTILE)
    expect(turn.locator(".evidence .object")).to_have_text(HOSTILE)
    turn.locator(".evidence .subject").click()
    expect(page.locator("#around h2")).to_have_text(f"Around {HOSTILE}")
    expect(page.locator("#around .node title")).to_have_text(f"{HOSTILE}, 名言: {HOSTILE}")
    page.keyboard.press("Escape")
    page.fill("#question", HOSTILE[:9])
    expect(page.locator("#dialogues .entry")).to_contain_text(HOSTILE)
    assert page.locator("img").count() == 0
    assert page.title() == "kbqa"
