"""What a line of a chat means: a question, or a command about the last answer. `cli/chat.py` shows what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from kb_index.errors import InputError
from kb_index.types import Triple
from kbqa_agent.agent import KBQAgent
from kbqa_agent.answer_forms import answer_to_text, candidate_to_line
from kbqa_agent.dialogue import Dialogue
from kbqa_agent.streaming import Event
from kbqa_agent.types import Answer, Rating

__all__ = ["Chat", "Command"]

SHOWN_CANDIDATES = 5
NOTHING_YET = "there is no answer yet; ask something first"


class Command(NamedTuple):
    """A command of the chat: what stands after it, what it does in a few words, and the method that does it."""

    argument: str
    help: str
    run: Callable[[Chat, str], str]


class Chat:
    """One person's conversation with an agent, and what they do with its answers.

    `feedback` is the file that is made when they rate an answer for the first time, None where nothing may be kept.
    """

    def __init__(self, agent: KBQAgent, feedback: Path | None = None, user: str = "local") -> None:
        self.agent, self.user = agent, user
        self.dialogue = Dialogue()
        self._feedback = feedback
        self._given: list[int] = []
        """The numbers of the feedback since the last answer, which `/undo` takes back first."""

    def ask(self, question: str) -> Iterator[Event]:
        """Answer a question of the dialogue, as `KBQAgent.stream`."""
        self._given.clear()
        return self.agent.stream(question, self.dialogue)

    def understood(self) -> str | None:
        """How the last question was understood, where that is not as it was said."""
        turn = self.dialogue.turns[-1] if self.dialogue.turns else None
        return turn.question if turn and turn.question != turn.said else None

    def do(self, line: str) -> str:
        """Carry out a line that begins with a slash, and tell what was done.

        Raises: InputError when there is no such command, or it cannot be carried out; FeedbackFileError, StorageError.
        """
        name, _, argument = line.strip().partition(" ")
        name = name.lower()
        if name not in COMMANDS:
            near = get_close_matches(name, COMMANDS, 1)
            raise InputError(f"{name}: is no command; " + (f"did you mean {near[0]}?" if near else "/help lists them"))
        return COMMANDS[name].run(self, argument.strip())

    @property
    def last(self) -> Answer:
        """The last answer. Raises: InputError when there is none."""
        if not self.dialogue.turns:
            raise InputError(NOTHING_YET)
        return self.dialogue.turns[-1].answer

    def _evidence(self, _: str) -> str:
        found = self.last.explain().evidence
        return "\n".join(map(_line, found)) or "nothing in the knowledge base supports the answer"

    def _why(self, _: str) -> str:
        answer = self.last
        named = "; ".join(
            f"{m.text}: " + ", ".join(e.name for e in m.entities[:3]) + (", …" if len(m.entities) > 3 else "")
            for m in answer.mentions
        )
        found = [candidate_to_line(candidate) for candidate in answer.candidates[:SHOWN_CANDIDATES]]
        return "\n".join(
            [
                str(self.agent.explain(answer)),
                *([f"Names: {named}"] if named else []),
                *(["Candidates:", *found] if found else []),
            ]
        )

    def _rate(self, rating: Rating, comment: str, correction: str | None = None) -> str:
        answer = self.last
        if not self.agent.keeps_feedback:
            if self._feedback is None:
                raise InputError("feedback is switched off; start the chat without --feedback none")
            self.agent.use_feedback(self._feedback)
        number = self.agent.give_feedback(answer, rating, correction, comment or None, self.user)
        self._given.append(number)
        return f"kept as number {number}; it counts from now on; /undo takes it back until the next question"

    def _correct(self, text: str) -> str:
        if not text:
            raise InputError("/correct needs the right answer after it, such as: /correct 红楼梦")
        return self._rate("bad", "", text)

    def _undo(self, _: str) -> str:
        if self._given:
            number = self._given.pop()
            self.agent.take_back(number, self.user)
            return f"feedback number {number} counts no longer"
        turn = self.dialogue.undo()
        if turn is None:
            raise InputError(NOTHING_YET)
        return f"forgotten: {turn.said or turn.question}"

    def _reset(self, _: str) -> str:
        self.dialogue = Dialogue()
        self._given.clear()
        return "a new conversation"

    def _save(self, path: str) -> str:
        if not path:
            raise InputError("/save needs a file after it, such as: /save talk.json")
        self.dialogue.save(_place(path))
        return f"{len(self.dialogue.turns)} turns are in {path}"

    def _load(self, path: str) -> str:
        if not path:
            raise InputError("/load needs a file after it, such as: /load talk.json")
        self.dialogue = Dialogue.load(_place(path))
        self._given.clear()
        last = f"; the last was: {self.dialogue.turns[-1].said}" if self.dialogue.turns else ""
        return f"{len(self.dialogue.turns)} turns are read{last}"

    def _again(self, _: str) -> str:
        return answer_to_text(self.last)

    def _quit(self, _: str) -> str:
        raise EOFError

    def _help(self, _: str) -> str:
        width = max(len(f"{name} {c.argument}") for name, c in COMMANDS.items())
        lines = [f"  {f'{name} {c.argument}':{width}}  {c.help}" for name, c in COMMANDS.items()]
        return "\n".join(["Ask anything; follow-ups such as 那人口呢？ or 它的首都呢？ are understood.", *lines])


COMMANDS = {
    "/evidence": Command("", "all triples that the answer rests on", Chat._evidence),
    "/why": Command("", "what decided, and which names and candidates were found", Chat._why),
    "/good": Command("[COMMENT]", "the answer is right", lambda chat, text: chat._rate("good", text)),
    "/bad": Command("[COMMENT]", "the answer is wrong", lambda chat, text: chat._rate("bad", text)),
    "/correct": Command("TEXT", "the answer should have been this", Chat._correct),
    "/unknown": Command("[COMMENT]", "the knowledge base does not hold it", lambda chat, t: chat._rate("unknown", t)),
    "/undo": Command("", "take back the feedback just given, or else forget the last question", Chat._undo),
    "/again": Command("", "show the last answer once more", Chat._again),
    "/reset": Command("", "begin a new conversation", Chat._reset),
    "/save": Command("FILE", "write the conversation to a file", Chat._save),
    "/load": Command("FILE", "go on with a conversation that was saved", Chat._load),
    "/quit": Command("", "leave, as Ctrl-D does", Chat._quit),
    "/help": Command("", "this list", Chat._help),
}


def _place(path: str) -> Path:
    """The file that a person means, who may write ~ or quotation marks as in a shell."""
    return Path(path.strip("\"'")).expanduser()


def _line(triple: Triple) -> str:
    extra = "; ".join(f"{column}: {text}" for columns in triple.extra for column, text in columns.items())
    return f"{triple.subject} | {triple.predicate} | {triple.object}" + (f"  ({extra})" if extra else "")
