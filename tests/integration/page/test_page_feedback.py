"""What people say of answers on the page."""

from __future__ import annotations


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


def test_what_was_undone_elsewhere_is_said_to_be(open_site, visit, ask, expect):
    site = open_site()
    page = visit(site, allowed=["409 (Conflict)"])
    turn = ask(page, "红楼梦的作者是谁？")
    turn.locator("[data-rating=good]").click()
    turn.locator(".kept").wait_for()
    [kept] = site.store.records("local")
    site.store.undo(kept.id)
    turn.locator("[data-rating=undo]").click()
    expect(turn.locator(".feedback [role=status]")).to_have_text("It was undone already.")
    expect(turn.locator("[data-rating=good]")).to_be_focused()
    turn.locator("[data-rating=good]").click()
    expect(turn.locator(".kept")).to_contain_text("Right ✓")
    assert len(site.store.records("local", undone=False)) == 1


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
