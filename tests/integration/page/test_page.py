"""Asking on the page: dialogues, evidence, streaming, homonyms, feedback, completion, neighbourhoods."""

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
    page = visit(open_site(), allowed=["404 (Not Found)"])
    ask(page, "红楼梦的作者是谁？")
    page.evaluate("fetch(`api/dialogues/${location.hash.slice(1)}`, { method: 'DELETE' })")
    turn = ask(page, "他的出生地呢？")
    expect(turn.locator(".error")).to_have_text("This dialogue is not there any more: it was deleted.")
    turn.get_by_role("button", name="Ask in a new dialogue").click()
    expect(page.locator("#turns > li")).to_have_count(1)
    expect(page.locator("#turns article")).to_have_attribute("aria-busy", "false")
    for address in ("#%", "#nowhere"):
        page.goto(page.url.partition("#")[0] + address)
        page.reload()
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


def test_a_thumb_is_on_the_disk_and_undone(open_site, visit, ask, expect):
    site = open_site()
    page = visit(site)
    turn = ask(page, "红楼梦的作者是谁？")
    turn.locator("[data-rating=good]").click()
    expect(turn.locator(".kept")).to_contain_text("Right ✓")
    [kept] = site.store.records("local")
    assert (kept.feedback.question, kept.feedback.answer, kept.feedback.rating) == (
        "红楼梦的作者是谁？",
        "曹雪芹",
        "good",
    )
    expect(turn.locator("[data-rating=undo]")).to_be_focused()
    page.keyboard.press("Enter")
    expect(turn.locator("[data-rating=good]")).to_be_focused()
    [kept] = site.store.records("local")
    assert kept.undone is not None


def test_what_was_rated_can_be_undone_on_a_later_visit(open_site, visit, ask, expect):
    page = visit(open_site())
    ask(page, "红楼梦的作者是谁？").locator("[data-rating=good]").click()
    page.wait_for_selector(".kept")
    page.reload()
    expect(page.locator(".kept")).to_contain_text("Right ✓")
    page.click("[data-rating=undo]")
    page.wait_for_selector("[data-rating=good]")
    page.reload()
    expect(page.locator("[data-rating=good]")).to_be_visible()


def test_a_half_typed_correction_outlives_another_language(open_site, visit, ask, expect):
    page = visit(open_site())
    turn = ask(page, "法国的首都是哪里？")
    turn.locator("[data-rating=bad]").click()
    page.keyboard.type("里")
    page.click("#language")
    expect(page.locator("[name=correction]")).to_have_value("里")
    page.get_by_role("button", name="取消").click()
    page.click("#language")
    expect(page.locator("[data-rating=bad]")).to_be_visible()


def test_a_correction_is_stored_and_counts(open_site, visit, ask, expect):
    site = open_site()
    page = visit(site, allowed=["400 (Bad Request)"])
    turn = ask(page, "法国的首都是哪里？")
    turn.locator("[data-rating=bad]").click()
    page.keyboard.type("巴黎")
    page.keyboard.press("Enter")
    expect(turn.locator("[role=alert]")).to_contain_text("the correction is the answer itself")
    turn.locator("[name=correction]").fill("里昂")
    turn.locator("[name=comment]").fill("见地图")
    turn.locator("button[type=submit]").click()
    expect(turn.locator(".kept")).to_contain_text("Wrong ✓")
    [kept] = site.store.records("local")
    assert (kept.feedback.rating, kept.feedback.correction, kept.feedback.comment) == ("bad", "里昂", "见地图")
    again = ask(page, "法国的首都是哪里？")
    expect(again.locator(".candidates .named").filter(has_text="里昂")).to_have_count(1)


def test_silence_takes_an_answer_that_somebody_knows(open_site, visit, ask, expect):
    site = open_site()
    page = visit(site)
    turn = ask(page, "月球的直径是多少？")
    expect(turn.locator(".silence")).to_have_text("Nothing in the question is in the knowledge base.")
    turn.locator("[data-rating=i_know]").click()
    page.keyboard.press("Escape")
    expect(turn.locator("[data-rating=i_know]")).to_be_focused()
    turn.locator("[data-rating=unknown]").click()
    expect(turn.locator(".kept")).to_contain_text("Not in the knowledge base ✓")
    assert [record.feedback.rating for record in site.store.records("local")] == ["unknown"]


def test_what_may_begin_a_name(open_site, visit):
    page = visit(open_site())
    told = {
        "红楼": ["红楼"],
        "请问红楼": ["请问红楼", "红楼"],
        "《红": ["红"],
        "法国和德": ["法国和德", "德"],
        "who made jaws of": ["made jaws of", "jaws of", "of"],
        "jaws, t": [],
        "王芳(": ["王芳("],
        "请问王芳（演": ["请问王芳（演", "王芳（演"],
        "of New York (st": ["New York (st", "York (st"],
        "法国(欧洲)和德": ["和德", "德"],
        "": [],
    }
    for text, expected in told.items():
        found = page.evaluate("async (text) => (await import('/static/names.js')).beginnings(text)", text)
        assert found == expected, text


def test_names_are_completed_by_keyboard(open_site, visit, expect):
    page = visit(open_site())
    question = page.locator("#question")
    question.press_sequentially("请问李")
    expect(page.locator("#names li")).to_have_text(["李明(画家)", "李明(歌手)"])
    expect(question).to_have_attribute("aria-expanded", "true")
    question.press("ArrowDown")
    question.press("ArrowDown")
    expect(question).to_have_attribute("aria-activedescendant", "name-1")
    question.press("Enter")
    expect(question).to_have_value("请问李明(歌手)")
    expect(page.locator("#names")).to_be_hidden()
    question.press_sequentially("和王")
    expect(page.locator("#names li")).to_have_text(["王芳"])
    question.press("Escape")
    question.fill("张伟")
    question.press_sequentially("(")
    expect(page.locator("#names li")).to_have_text(["张伟(演员)"])
    question.press("Escape")
    expect(page.locator("#names")).to_be_hidden()
    expect(page.locator("#turns > li")).to_have_count(0)
    question.fill("法")
    page.locator("#names li").click()
    expect(question).to_have_value("法国")


def test_the_neighbourhood_of_an_entity_leads_on_and_back(open_site, visit, ask, expect):
    page = visit(open_site())
    turn = ask(page, "红楼梦的作者是谁？")
    turn.locator(".evidence .subject").press("Enter")
    around = page.locator("#around")
    expect(around.locator("h2")).to_have_text("Around 红楼梦")
    expect(around.locator(".node, .literal")).to_have_count(6)  # the heading comes first, and `all` does not wait
    assert [node.get_attribute("aria-label") for node in around.locator(".node, .literal").all()] == [
        "曹雪芹, 代表作品: 红楼梦", "红楼梦, 别名: 石头记", "红楼梦, 作者: 曹雪芹", "红楼梦, 体裁: 章回体长篇小说",
        "红楼梦, 字数: 73万", "红楼梦, 首版时间: 1791年",
    ]  # fmt: skip
    expect(around.locator(".literal text")).to_have_text(["章回体长篇小说", "73万", "1791年"])
    around.locator(".node").first.press("Enter")
    expect(around.locator("h2")).to_have_text("Around 曹雪芹")
    page.click("#around-back")
    expect(around.locator("h2")).to_have_text("Around 红楼梦")
    page.keyboard.press("Escape")
    expect(around).to_be_hidden()
    expect(turn.locator(".evidence .subject")).to_be_focused()


def test_the_rest_of_a_neighbourhood_is_a_click_away(open_site, visit, ask, expect):
    page = visit(open_site())
    ask(page, "藏书楼的藏书是什么？").locator(".evidence .subject").click()
    expect(page.locator("#around-note")).to_have_text("12 facts shown; there are more.")
    page.click("#around-more")
    expect(page.locator("#around-note")).to_have_text("21 facts shown.")
    expect(page.locator("#around-more")).to_be_hidden()
    expect(page.locator("#around-back")).to_be_disabled()


def test_of_two_neighbourhoods_the_one_asked_for_last_is_drawn(open_site, visit, ask, expect):
    page = visit(open_site())
    turn = ask(page, "红楼梦的作者是谁？")
    held = []

    def hold(route):
        held.append(route)

    page.route("**/api/triples?name=%E6%9B%B9*", hold)  # 曹雪芹 comes late
    turn.locator(".evidence .subject").click()
    page.get_by_label("红楼梦, 作者: 曹雪芹").click()
    page.keyboard.press("Escape")
    turn.locator(".evidence .subject").click()
    expect(page.locator("#around h2")).to_have_text("Around 红楼梦")
    page.wait_for_selector(".picture")
    with page.expect_response("**/api/triples?name=%E6%9B%B9*"):
        held.pop().continue_()
    page.wait_for_timeout(200)
    expect(page.locator("#around h2")).to_have_text("Around 红楼梦")


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
