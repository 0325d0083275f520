"""The page in a real browser, over a real server: sites to open, pages that are watched, and axe."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="needs the extra [serve]")
pytest.importorskip("playwright.sync_api", reason="needs the package playwright")

import numpy as np
import uvicorn
from playwright import sync_api

from kbqa_agent import AgentConfig, FeedbackStore, KBQAgent
from kbqa_agent.server import ServeSettings, create_app

PATIENCE = 60_000  # milliseconds, for a busy machine
HOSTILE = "</script><img src=x onerror=\"document.title='hacked'\"><!--"
LINES = f"""\
红楼梦 ||| 别名 ||| 石头记
红楼梦 ||| 作者 ||| 曹雪芹
红楼梦 ||| 体裁 ||| 章回体长篇小说
红楼梦 ||| 字数 ||| 73万
红楼梦 ||| 首版时间 ||| 1791年
曹雪芹 ||| 出生地 ||| 南京
曹雪芹 ||| 朝代 ||| 清朝
曹雪芹 ||| 代表作品 ||| 红楼梦
南京 ||| 人口 ||| 949万
法国 ||| 首都 ||| 巴黎
法国 ||| 货币 ||| 欧元
德国 ||| 首都 ||| 柏林
巴黎 ||| 人口 ||| 210万
李明(画家) ||| 出生地 ||| 山东
李明(歌手) ||| 出生地 ||| 台北
红高粱 ||| 主演 ||| 姜文
红高粱 ||| 主演 ||| 巩俐
张伟 ||| 职业 ||| 律师
张伟(演员) ||| 职业 ||| 演员
王芳 ||| 职业 ||| 医生
王芳 ||| 出生地 ||| 上海
WWWW ||| MMMM ||| {"MW" * 100}
{"MW" * 100} ||| 国家 ||| 法国
藏书楼 ||| 藏书 ||| {"甲乙丙丁" * 200}
{"".join(f"藏书楼 ||| 藏书{n} ||| 第{n}卷{chr(10)}" for n in range(20))}\
{HOSTILE} ||| 名言 ||| {HOSTILE}
"""


class GradedRanker:
    """A fake: of the attributes in a question those that end last are probable, .9 together; all else shares .06."""

    def rank(self, question, mentions, triples):
        ends = [question.rfind(t.predicate) + len(t.predicate) if t.predicate in question else 0 for t in triples]
        scores = np.array(ends, np.float32)
        best = scores == scores.max(initial=1)
        shares = np.where(best, 0.9 / max(1, best.sum()), 0.06 / max(1, (~best).sum()))
        return scores, shares.astype(np.float32)


class SlowWriter:
    """A fake generator: writes 曹雪芹写的 in pieces, of which each comes when a test lets it."""

    name = "slow"

    def __init__(self):
        self.lets = threading.Semaphore(0)

    def score(self, prompt, answers):
        return np.zeros(len(answers), np.float32)

    def generate(self, prompts, max_new_tokens=48, *, among=None):
        return ["曹雪芹写的" for _ in prompts]

    def stream(self, prompt, max_new_tokens=48):
        for piece in ("曹雪芹", "写的"):
            assert self.lets.acquire(timeout=PATIENCE / 1000)
            yield piece


@pytest.fixture
def writer() -> SlowWriter:
    """The fake generator above."""
    return SlowWriter()


@pytest.fixture(scope="module")
def kb(open_kb):
    """The index of the lines above."""
    return open_kb(LINES)


@pytest.fixture
def open_site(kb, tmp_path) -> Iterator[Callable[..., SimpleNamespace]]:
    """Serves an agent over the lines above until the end of the test: `url`, and the `store` of its feedback."""
    with ExitStack() as opened:

        def serve(systems=None, **settings):
            agent = KBQAgent(kb, GradedRanker(), None, AgentConfig(generator="always"))
            store = opened.enter_context(FeedbackStore(tmp_path / "feedback.sqlite"))
            agent.use_feedback(store)
            app = create_app(agent, ServeSettings(**settings), systems)
            config = uvicorn.Config(app, port=0, log_level="error", ws="none", timeout_graceful_shutdown=2)
            server = uvicorn.Server(config)
            thread = threading.Thread(target=server.run)
            thread.start()
            opened.callback(thread.join)
            opened.callback(setattr, server, "should_exit", True)
            while not server.started:
                assert thread.is_alive()
                time.sleep(0.01)
            port = server.servers[0].sockets[0].getsockname()[1]
            return SimpleNamespace(url=f"http://127.0.0.1:{port}/", store=store)

        yield serve


@pytest.fixture
def visit(browser) -> Iterator[Callable[..., Any]]:
    """Opens a site; at the end nothing was complained of, and nothing asked for but what the site itself has.

    `allowed` are refusals of the server, which browsers write into the console by themselves.
    """
    complaints: list[str] = []
    requests: list[str] = []
    urls: list[str] = []
    with ExitStack() as opened:

        def go(site, *, width=1280, height=860, locale="en-GB", allowed=(), **options):
            options = {"color_scheme": "light", "reduced_motion": "reduce", "service_workers": "block"} | options
            context = browser.new_context(viewport={"width": width, "height": height}, locale=locale, **options)
            opened.callback(context.close)
            context.set_default_timeout(PATIENCE)
            page = context.new_page()
            page.on("console", lambda m: complaints.append(m.text) if not any(a in m.text for a in allowed) else None)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("request", lambda request: requests.append(request.url))
            urls.append(site.url)
            page.goto(site.url)
            page.wait_for_selector("#facts:not(:empty)")
            return page

        yield go
    assert complaints == []
    assert [url for url in requests if not url.startswith((*urls, "data:"))] == []


@pytest.fixture
def ask() -> Callable[[Any, str], Any]:
    """Asks on a page, and gives the turn when its answer is there."""

    def asked(page, question):
        n = page.locator("#turns > li").count()
        page.fill("#question", question)
        page.press("#question", "Enter")
        turn = page.locator("#turns > li").nth(n)
        sync_api.expect(turn.locator("article")).to_have_attribute("aria-busy", "false")
        return turn

    return asked


@pytest.fixture
def expect() -> Any:
    """Playwright's assertions, which wait."""
    return sync_api.expect


@pytest.fixture
def check_access() -> Callable[[Any], None]:
    """Lets axe look at a page: nothing serious or critical may be found."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python").Axe()

    def check(page):
        found = axe.run(page).response["violations"]
        bad = [(v["id"], [n["html"] for n in v["nodes"]]) for v in found if v["impact"] in ("serious", "critical")]
        assert bad == []

    return check
