"""The site of nginx in deploy/ before a server: its page works, callers are told apart, and events pass at once."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="needs the extra [serve]")

import httpx

from kbqa_agent import AgentConfig, KBQAgent
from kbqa_agent.server import ServeSettings, create_app

SITE = Path(__file__).parents[2] / "deploy" / "nginx.conf"
KEY = "li-has-a-long-key-1"
NAME = "kbqa.example.org"
pytestmark = pytest.mark.skipif(shutil.which("nginx") is None, reason="needs nginx")


class Waits:
    """A fake generator that writes when a test lets it."""

    name = "waits"

    def __init__(self):
        self.go_on = threading.Event()

    def score(self, prompt, answers):
        assert self.go_on.wait(60)
        return np.zeros(len(answers), np.float32)


@pytest.fixture
def generator():
    return Waits()


@pytest.fixture
def url(agent_of, listening, generator, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text(f"li {KEY}\n", encoding="utf-8")
    plain = agent_of("法国 ||| 首都 ||| 巴黎\n")
    agent = KBQAgent(plain.kb, plain.ranker, generator, AgentConfig(generator="always"))
    settings = ServeSettings(api_key_file=keys, allowed_hosts=(NAME,), trusted_proxies=("127.0.0.1",))
    behind = {"proxy_headers": True, "forwarded_allow_ips": list(settings.trusted_proxies)}
    with listening(create_app(agent, settings), **behind) as address, socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
        free.close()
        site = SITE.read_text(encoding="utf-8").replace("http://127.0.0.1:8000", address)
        site = re.sub(r"(?m)^\s*ssl_.*\n", "", site).replace("443 ssl", f"127.0.0.1:{port}")
        paths = "".join(
            f"{kind}_temp_path {tmp_path}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        conf = tmp_path / "nginx.conf"
        conf.write_text(
            f"daemon off; pid {tmp_path}/pid; error_log stderr; {'user root;' if os.getuid() == 0 else ''}\n"
            f"events {{}}\nhttp {{\n{paths}access_log off;\n{site}}}\n",
            encoding="utf-8",
        )
        nginx = subprocess.Popen(["nginx", "-p", str(tmp_path), "-e", "stderr", "-c", str(conf)])
        try:
            until(lambda: can_connect(port))
            yield f"http://127.0.0.1:{port}"
        finally:
            nginx.terminate()
            nginx.wait(60)


def can_connect(port):
    with socket.socket() as opened:
        return opened.connect_ex(("127.0.0.1", port)) == 0


def until(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_the_page_works_and_events_pass_at_once(url, generator):
    headers = {"Host": NAME, "Authorization": f"Bearer {KEY}"}
    question = {"question": "法国的首都是哪里？"}
    with httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=60) as client:
        assert client.get("/").status_code == 200
        own = {"Origin": f"http://{NAME}"}
        with client.stream("POST", "/api/chat", json=question, headers=own) as reply:
            assert reply.status_code == 200
            lines = reply.iter_lines()
            assert next(lines) == "event: shortlist"  # before the generator is done
            generator.go_on.set()
            assert "event: answer" in list(lines)
        foreign = client.post("/api/ask", json=question, headers={"Origin": "http://evil.example"})
        assert foreign.status_code == 403
        wrong = {"Authorization": "Bearer no-key-of-anybody-here"}
        assert [client.get("/api/votes", headers=wrong).status_code for _ in range(25)].count(429) >= 1
        assert client.get("/api/votes").status_code == 200
