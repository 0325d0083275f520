"""Question files in, question files out: NLPCC, KgCLUE JSON lines, MetaQA text; text2text JSON is in `text2text`.

It reads a whole file into memory (the largest known ones hold some ten thousand questions) and does not judge whether a
question can be answered from any index. Ids stay strings. A question without gold answers is an unanswerable one.

Damaged NLPCC items (two of the published training file are) follow one rule: a triple that lacks a part is dropped, the
rest of its item is kept as it stands, and a warning names the line.
"""

from __future__ import annotations

import json
import logging
import random
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from kb_index.atomic import replacing_text
from kb_index.errors import QuestionFileError
from kbqa_agent.question_file import read_text, refuse
from kbqa_agent.text2text import parse_text2text
from kbqa_agent.types import QAExample

__all__ = [
    "FORMATS",
    "comparable",
    "detect_format",
    "draw",
    "read_questions",
    "write_nlpcc",
]

logger = logging.getLogger(__name__)

FORMATS = ("auto", "nlpcc", "kgclue", "metaqa", "text2text")
SEPARATOR = "=" * 50
T = TypeVar("T")

_TAG = re.compile(r"<(question|triple|answer) id=([^>]+)>[ \t]*(.*)", re.DOTALL)
_TOPIC = re.compile(r"\[([^\[\]]+)\]")


class _Line(NamedTuple):
    """A line of a file, with its end cut off, and where it stands (`file:number`) for messages."""

    where: str
    text: str


def comparable(answer: str) -> str:
    """Bring an answer into the form in which answers are compared: every run of white space is one blank.

    Question files and knowledge bases made from the same pages differ in no-break and doubled blanks, and in nothing
    else: 1.5 % of the published test answers are concerned.

    >>> comparable("叶落归根　 衣锦荣归 ") == comparable("叶落归根 衣锦荣归")
    True
    """
    return " ".join(answer.split())


def read_questions(path: Path, format: str = "auto") -> list[QAExample]:  # noqa: A002 - named as the option --format
    """Read a question file, in the file's order; `format` is one of `FORMATS`, "auto" looks at the first lines.

    Raises: QuestionFileError when the file is missing, empty, binary, not UTF-8, damaged, in another format, or has an
    id twice; the message starts with `file:line` where one line is to blame.
    """
    if format not in FORMATS:
        raise QuestionFileError(f"question format {format!r} is not known; expected one of {', '.join(FORMATS)}")
    text = read_text(path)
    name = _detect(path, text) if format == "auto" else format
    readers: dict[str, Callable[[Path, str], Iterator[tuple[str, QAExample]]]] = {
        "nlpcc": _nlpcc,
        "kgclue": _kgclue,
        "metaqa": _metaqa,
        "text2text": _text2text_questions,
    }
    first_seen: dict[str, str] = {}
    examples = []
    for where, example in readers[name](path, text):
        if example.id in first_seen:
            refuse(
                where, f"id {example.id} was already used at {first_seen[example.id]}", "give every question its own id"
            )
        first_seen[example.id] = where
        examples.append(example)
    if not examples:
        raise QuestionFileError(f"{path}: no question in it, read as {name}; choose another format or file")
    return examples


def detect_format(path: Path) -> str:
    """Name the format of a question file by its first lines: one of `FORMATS` but "auto". Raises: QuestionFileError."""
    return _detect(path, read_text(path))


def draw(examples: Sequence[T], limit: int | None, seed: int) -> list[T]:
    """Draw `limit` examples (or rows) without replacement, in the file's order; all of them where there are no more."""
    if limit is None or limit >= len(examples):
        return list(examples)
    order = list(range(len(examples)))
    random.Random(seed).shuffle(order)
    return [examples[i] for i in sorted(order[:limit])]


def write_nlpcc(examples: Iterable[QAExample], path: Path) -> None:
    """Write questions in the NLPCC format; tabs and line breaks inside a value become blanks.

    The triple's line is left out where there is none, several answers are separated by tabs, and no answer leaves the
    answer's line empty. Raises: StorageError.
    """
    with replacing_text(path) as stream:
        for example in examples:
            stream.write(f"<question id={example.id}>\t{_one_line(example.question)}\n")
            if example.triple is not None:
                stream.write(f"<triple id={example.id}>\t{' ||| '.join(map(_one_line, example.triple))}\n")
            answers = "\t".join(map(_one_line, example.answers))
            stream.write(f"<answer id={example.id}>\t{answers}\n{SEPARATOR}\n")


def _lines(path: Path, text: str) -> Iterator[_Line]:
    # Values may hold Unicode line separators, so only "\n" and "\r\n" end a line.
    for number, line in enumerate(text.split("\n"), 1):
        content = line.removesuffix("\r")
        if content.strip():
            yield _Line(f"{path}:{number}", content)


def _detect(path: Path, text: str) -> str:
    first = next(_lines(path, text))
    if first.text.lstrip().startswith("<question"):
        return "nlpcc"
    if first.text.lstrip().startswith("{"):
        return "text2text" if '"instances"' in text else "kgclue"
    if "\t" not in first.text or not _TOPIC.search(first.text):
        got = f"{first.text[:40]!r} is of no known format"
        refuse(first.where, got, "expected <question id=N>, JSON, or MetaQA text")
    return "metaqa"


def _nlpcc(path: Path, text: str) -> Iterator[tuple[str, QAExample]]:
    item: dict[str, tuple[str, str, str]] = {}
    where = str(path)
    for where, line in _lines(path, text):
        if line.startswith("==="):
            if item:
                yield _nlpcc_item(item)
            item = {}
            continue
        match = _TAG.fullmatch(line)
        if match is None:
            refuse(where, f"{line[:40]!r} is no line of a question", "expected <question|triple|answer id=N> or =====")
        tag, item_id, value = match.groups()
        if tag in item or (item and item_id not in {known for _, known, _ in item.values()}):
            refuse(where, f"<{tag} id={item_id}> inside another item", "end every item with a line of =====")
        item[tag] = (where, item_id, value)
    if item:
        refuse(where, "the file ends inside an item", "it may be cut off; end every item with a line of =====")


def _nlpcc_item(item: dict[str, tuple[str, str, str]]) -> tuple[str, QAExample]:
    where, item_id, question = next(iter(item.values()))
    if "question" not in item or not question.strip():
        refuse(where, f"item {item_id} has no question", "give it a line <question id=N>, then a tab and the question")
    answers = _distinct(item["answer"][2].split("\t")) if "answer" in item else ()
    triple = None
    if "triple" in item and item["triple"][2].strip():
        place, _, value = item["triple"]
        triple = _triple(value)
        if triple is None:
            logger.warning(
                "%s: id %s: the triple lacks a part and is left out; answers kept: %d", place, item_id, len(answers)
            )
    return where, QAExample(item_id, question.strip(), answers, triple)


def _kgclue(path: Path, text: str) -> Iterator[tuple[str, QAExample]]:
    for number, (where, line) in enumerate(_lines(path, text)):
        try:
            row = json.loads(line)
        except ValueError as error:
            raise QuestionFileError(f"{where}: not JSON ({error}); expected one object a line") from error
        question = row.get("question") if isinstance(row, dict) else None
        if not isinstance(question, str) or not question.strip():
            refuse(where, "no question", 'expected {"id": ..., "question": "...", "answer": "s ||| p ||| o"}')
        answer = row.get("answer") or ""
        if not isinstance(answer, str):
            refuse(where, f"the answer is {answer!r}", 'expected a text such as "s ||| p ||| o"')
        item_id = str(row.get("id", number))
        if re.search(r"[>\t\r\n\0]", item_id) or not item_id:
            refuse(where, f"id {item_id!r} cannot stand in <question id=N>", "expected a number or a word")
        triple = _triple(answer)
        answers = _distinct([triple[2] if triple else answer])
        yield where, QAExample(item_id, question.strip(), answers, triple)


def _metaqa(path: Path, text: str) -> Iterator[tuple[str, QAExample]]:
    # The brackets around the topic go: finding the entity is a part of the task. Ids are line numbers.
    for where, line in _lines(path, text):
        question, tab, answers = line.partition("\t")
        if not tab or not question.strip():
            refuse(where, f"{line[:40]!r} has no tab", "expected question, tab, answers separated by |")
        yield (
            where,
            QAExample(where.rpartition(":")[2], _TOPIC.sub(r"\1", question).strip(), _distinct(answers.split("|"))),
        )


def _text2text_questions(path: Path, text: str) -> Iterator[tuple[str, QAExample]]:
    for number, row in enumerate(parse_text2text(path, text), 1):
        yield f"{path}: instance {number}", QAExample(str(number), row.input, _distinct([row.output]))


def _triple(value: str) -> tuple[str, str, str] | None:
    parts = [part.strip() for part in value.split("|||", 2)]
    return (parts[0], parts[1], parts[2]) if len(parts) == 3 and all(parts) else None


def _distinct(values: Iterable[str]) -> tuple[str, ...]:
    """Trim, drop what is empty, keep the first of equals: the order of the file stays."""
    return tuple(dict.fromkeys(trimmed for value in values if (trimmed := value.strip())))


def _one_line(value: str) -> str:
    return re.sub(r"[\t\r\n\0]", " ", value)
