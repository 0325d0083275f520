"""Names on the page: their completion, and pictures of what is around them."""

from __future__ import annotations


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
