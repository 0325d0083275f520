"""`kbqa chat` in a real pseudo-terminal and through a pipe."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect
import pytest

from kb_index import build_index

READY = "\x1b[?2004h"
"""What the prompt writes when it waits for a line: from here on, pasted text is marked as such."""
LINES = """\
法国 ||| 首都 ||| 巴黎
法国 ||| 人口 ||| 6700万
德国 ||| 首都 ||| 柏林
德国 ||| 人口 ||| 8300万
机械设计基础(2010年高等教育出版社出版) ||| 作者 ||| 杨可桢
机械设计基础(2010年高等教育出版社出版) ||| 别名 ||| 机械设计基础
机械设计基础(2008年清华大学出版社出版) ||| 作者 ||| 黄平
机械设计基础(2008年清华大学出版社出版) ||| 别名 ||| 机械设计基础
"""


@pytest.fixture
def index(tmp_path: Path) -> Path:
    source = tmp_path / "small.kb"
    source.write_text(LINES, encoding="utf-8")
    build_index([source], tmp_path / "index", progress=False)
    return tmp_path / "index"


def environment(index: Path) -> dict[str, str]:
    return os.environ | {
        "XDG_STATE_HOME": str(index.parent / "state"),
        "TERM": "xterm",
        "PYTHONUTF8": "1",
        "PROMPT_TOOLKIT_NO_CPR": "1",
    }


def command(index: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "cli", "chat", "--index", str(index), "--model", "none", *options]


@pytest.fixture
def piped(index: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a chat whose lines come through a pipe."""

    def run(lines: str, *options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(index, *options), input=lines, capture_output=True, text=True, env=environment(index), check=False
        )

    return run


@contextmanager
def terminal(index: Path, *options: str) -> Iterator[pexpect.spawn]:
    """A chat in a pseudo-terminal."""
    program, *arguments = command(index, *options)
    child = pexpect.spawn(
        program, arguments, env=environment(index), encoding="utf-8", timeout=120, dimensions=(40, 120)
    )
    try:
        child.expect("entities. /help lists commands")
        yield child
    finally:
        child.close(force=True)


def say(child: pexpect.spawn, line: str, *replies: str) -> None:
    """Type a line when the chat waits for one, and wait for each reply."""
    child.expect_exact(READY)
    child.send(line + "\r")
    for reply in replies:
        child.expect_exact(reply)


def leave(child: pexpect.spawn) -> None:
    """Type Ctrl-D when the chat waits for a line."""
    child.expect_exact(READY)
    child.sendeof()
    child.expect(pexpect.EOF)


def test_a_conversation_with_evidence_and_feedback(index: Path) -> None:
    with terminal(index) as child:
        say(child, "法国的首都是哪里？", "巴黎")
        say(child, "/evidence", "法国 | 首都 | 巴黎")
        say(child, "那人口呢？", "= 法国的人口是什么？", "6700万")
        say(child, "/good", "kept as number 1")
        say(child, "/undo", "feedback number 1 counts no longer")
        say(child, "/nothing", "/nothing: is no command; /help lists them")
        leave(child)
    assert child.exitstatus == 0
    assert (index.parent / "index.feedback.sqlite").exists()


def test_ctrl_c_drops_a_line_and_ctrl_d_leaves(index: Path) -> None:
    with terminal(index) as child:
        child.expect_exact(READY)
        child.send("德国的首")
        child.expect_exact("德国的首")
        child.sendintr()
        say(child, "德国的首都是哪里？", "柏林")
        leave(child)
    assert child.exitstatus == 0


def test_ctrl_c_stops_an_answer_and_leaving_waits_for_none(index: Path, server) -> None:
    begun, released = threading.Event(), threading.Event()

    def slow(route: str, body: dict) -> tuple[int, dict]:
        begun.set()
        released.wait(100)
        return 200, {}

    server.reply = slow
    options = ("--model", f"openai:{server.url}#qwen3", "--free-text", "--generator", "always")
    with terminal(index, *options) as child:
        say(child, "德国的首都是哪里？")
        assert begun.wait(60)
        child.sendintr()
        child.expect_exact("(stopped)")
        say(child, "/help", "/evidence")
        child.timeout = 50
        leave(child)  # the server has not answered yet
    released.set()
    assert child.exitstatus == 0


def test_tab_completes_names_and_commands(index: Path) -> None:
    with terminal(index) as child:
        child.expect_exact(READY)
        child.send("/ev\t")
        child.expect_exact("idence")
        child.send("\r")
        child.expect_exact("there is no answer yet")
        child.expect_exact(READY)
        child.send("请问机械\t")
        child.expect_exact("设计基础")
        child.sendintr()
        leave(child)


def test_what_was_typed_is_kept_for_its_owner_alone(index: Path) -> None:
    with terminal(index) as child:
        say(child, "法国的首都是哪里？", "巴黎")
        leave(child)
    kept = index.parent / "state" / "kbqa" / "chat-history"
    assert "法国的首都是哪里？" in kept.read_text(encoding="utf-8")
    assert kept.stat().st_mode & 0o077 == 0


def test_a_pipe_gets_plain_lines(piped: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    result = piped("法国的首都是哪里？\n\n它的人口呢？\n/evidence\n")
    assert result.returncode == 0
    assert "\x1b" not in result.stdout
    lines = result.stdout.splitlines()
    assert lines[0].startswith("巴黎")
    assert "  = 法国的人口是什么？" in lines
    assert lines[-1] == "法国 | 人口 | 6700万"
    assert result.stderr == ""


def test_asking_back_and_choosing(piped: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    lines = piped("机械设计基础的作者是谁？\n清华大学出版社的\n").stdout.splitlines()
    assert "Which one?" in lines[0]
    assert any(line.startswith("黄平") for line in lines)


def test_a_correction_counts_at_once_and_is_seen(
    index: Path, piped: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    people = [f"person {number}" for number in range(4)]
    for user in people[:-1]:
        assert "kept as number" in piped("法国的首都是哪里？\n/correct 里昂\n", "--user", user).stdout
    lines = piped("法国的首都是哪里？\n/correct 里昂\n法国的首都是哪里？\n", "--user", people[-1]).stdout.splitlines()
    assert "kept as number 4; it counts from now on; /undo takes it back until the next question" in lines
    assert lines[lines.index(next(line for line in lines if "number 4" in line)) + 1].startswith("里昂  (")
    listed = subprocess.run(
        [sys.executable, "-m", "cli", "feedback", "list", "--index", str(index)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert [user for user in people if f"  {user}  bad  " in listed] == people
    assert listed.count("法国的首都是哪里？ -> 巴黎; correction: 里昂") == 4


def test_what_the_knowledge_base_does_not_hold_is_told_so_and_then_not_answered(
    piped: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    for number in range(5):
        said = piped("法国的首都是哪里？\n/unknown\n", "--user", f"person {number}")
        assert "kept as number" in said.stdout
    assert piped("法国的首都是哪里？\n").stdout.startswith("(no answer: ")


def test_feedback_can_be_switched_off(index: Path, piped: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    result = piped("法国的首都是哪里？\n/good\n", "--feedback", "none")
    assert "feedback is switched off" in result.stderr
    assert not (index.parent / "index.feedback.sqlite").exists()


def test_a_conversation_is_saved_and_gone_on_with(
    tmp_path: Path, piped: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    talk = tmp_path / "talk.json"
    assert f"1 turns are in {talk}" in piped(f"法国的首都是哪里？\n/save {talk}\n").stdout
    result = piped(f"/load {talk}\n那德国呢？\n/undo\n/reset\n/evidence\n")
    lines = result.stdout.splitlines()
    assert lines[0] == "1 turns are read; the last was: 法国的首都是哪里？"
    assert any(line.startswith("柏林") for line in lines)
    assert lines[-2:] == ["forgotten: 那德国呢？", "a new conversation"]
    assert result.stderr == "kbqa: there is no answer yet; ask something first\n"
    assert result.returncode == 0


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("/save", "/save needs a file"),
        ("/load", "/load needs a file"),
        ("/load none.json", "dialogue 'none.json': cannot be read"),
        ("/correct", "there is no answer yet|/correct needs the right answer"),
        ("/why", "there is no answer yet"),
        ("/good", "there is no answer yet"),
        ("/undo", "there is no answer yet"),
    ],
)
def test_commands_that_cannot_be_carried_out(
    piped: Callable[..., subprocess.CompletedProcess[str]], line: str, message: str
) -> None:
    result = piped(line + "\n")
    assert any(part in result.stderr for part in message.split("|"))
    assert result.stderr.count("\n") == 1
    assert result.returncode == 0


def test_a_near_miss_is_named_and_quit_leaves(piped: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    result = piped("/Evidnce\n/QUIT\n法国的首都是哪里？\n")
    assert result.stderr == "kbqa: /evidnce: is no command; did you mean /evidence?\n"
    assert result.stdout == ""


def test_a_history_that_cannot_be_kept_is_no_reason_to_leave(index: Path) -> None:
    with terminal(index, "--history", str(index)) as child:
        child.expect_exact("cannot be kept")
        say(child, "法国的首都是哪里？", "巴黎")
        leave(child)


def test_why_tells_what_decided_and_help_lists_every_command(
    piped: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    lines = piped("法国的首都是哪里？\n/why\n/help\n").stdout
    assert "Names: 法国: 法国" in lines
    assert re.search(r"\n  [+-]\d+\.\d  属性名与问题用词是否相符  \[\w+, ", lines)
    told = lines.split("Candidates:\n")[1].splitlines()
    assert told[0].endswith("%  法国 | 首都 | 巴黎")
    assert told[1].endswith("%  法国 | 人口 | 6700万")
    for name in ("/evidence", "/why", "/good", "/bad", "/correct TEXT", "/undo", "/reset", "/save FILE", "/help"):
        assert f"  {name}" in lines
