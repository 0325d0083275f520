"""`kbqa chat`: a conversation in the terminal, or through a pipe."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kb_index.errors import KBQAError

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import CompleteEvent, Completer, Completion
    from prompt_toolkit.document import Document

    from kb_index.knowledge_base import KnowledgeBase
    from kbqa_agent.chatting import Chat

__all__ = ["converse", "history_file"]

PROMPT = "> "
LONGEST_PREFIX, MOST_NAMES = 12, 20


def history_file(chosen: str | None) -> Path | None:
    """Where what was typed is kept: the file that was chosen, none for "none", else one for all of a person's chats."""
    if chosen == "none":
        return None
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(chosen) if chosen else Path(state) / "kbqa" / "chat-history"


def converse(chat: Chat, history: Path | None) -> None:
    """Answer line after line until the input ends; Ctrl-C stops an answer, Ctrl-D leaves."""
    from kbqa_agent.legible import legible
    from kbqa_agent.streaming import Piece
    from kbqa_agent.types import Answer

    for line in _typed(chat, history) if sys.stdin.isatty() else sys.stdin:
        try:
            if line.strip().startswith("/"):
                click.echo(legible(chat.do(line)))
            elif line.strip():
                for event in chat.ask(line.strip()):
                    if isinstance(event, Piece):
                        click.echo(click.style(legible(event.text), dim=True), nl=False)
                    elif isinstance(event, Answer):
                        _show(chat, event)
        except KBQAError as error:
            click.echo(f"kbqa: {error}", err=True)
        except EOFError:
            return
        except KeyboardInterrupt:
            if not sys.stdin.isatty():
                raise
            click.echo("(stopped)")


def _show(chat: Chat, answer: Any) -> None:
    from kbqa_agent.answer_forms import answer_to_text
    from kbqa_agent.legible import legible

    if understood := chat.understood():
        click.secho(legible(f"  = {understood}"), dim=True)
    first, *others = answer_to_text(answer).splitlines()
    click.secho(first, bold=True)
    for line in others:
        click.secho(line, dim=True)


def _typed(chat: Chat, history: Path | None) -> Iterator[str]:
    click.echo(f"{chat.agent.kb.manifest.counts.entities:,} entities. /help lists commands, Ctrl-D leaves.", err=True)
    session = _session(chat, history)
    while True:
        try:
            yield session.prompt(PROMPT)
        except KeyboardInterrupt:
            continue  # as in a shell, it drops the line
        except EOFError:
            return


def _session(chat: Chat, history: Path | None) -> PromptSession[str]:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.history import FileHistory, InMemoryHistory

    try:
        if history is not None:
            history.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(history, os.O_CREAT | os.O_WRONLY, 0o600))  # what people ask is theirs alone
    except OSError as error:
        click.echo(
            f"kbqa: history {str(history)!r}: cannot be kept ({error.strerror}); --history names a file", err=True
        )
        history = None
    kept = FileHistory(str(history)) if history else InMemoryHistory()
    return PromptSession(history=kept, completer=_completer(chat.agent.kb), complete_while_typing=False)


def _completer(kb: KnowledgeBase) -> Completer:
    from prompt_toolkit.completion import Completer, Completion

    from kbqa_agent.chatting import COMMANDS

    class Names(Completer):
        """Commands after a slash, and the names of entities that begin as the text before the cursor ends."""

        def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:  # noqa: ARG002 - the base class's
            text = document.text_before_cursor
            if text.startswith("/"):
                return [Completion(name, -len(text)) for name in COMMANDS if name.startswith(text)]
            prefixes = (text[-n:] for n in range(min(len(text), LONGEST_PREFIX), 0, -1))
            found = ((p, kb.names_with_prefix(p, MOST_NAMES)) for p in prefixes if p.strip())
            prefix, names = next(((p, names) for p, names in found if names), ("", []))
            return [Completion(name, -len(prefix)) for name in names]

    return Names()
