"""Files of preferences in, preferences out: two answers to one prompt, of which people, or a rule, prefer one.

The format of a file is told from its content, row by row, and never from its name:

    {"prompt": "...", "chosen": "...", "rejected": "..."}       this program's own, one object a line
    {"chosen": "...", "rejected": "..."}                        HH-RLHF: two transcripts that begin alike
    {"positive": "...", "negative": "..."}                      LMFlow: likewise
    {"instruction": "...", "output": ["best", "second", ...]}   OpenAssistant: a ranked list, best first

Rows stand one a line, in a JSON array, or under "instances" of a JSON object; the file may be packed by gzip.

One rule for pairs that teach nothing: one whose sides are equal, or of which a side is empty, is left out and counted,
since the public files have some; a file in which no other pair is left is refused. A row of any other form is refused,
with file and row.
"""

from __future__ import annotations

import gzip
import json
import logging
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import combinations, takewhile
from pathlib import Path
from typing import Any, NamedTuple

from kb_index.atomic import replacing_text
from kb_index.errors import InputError

__all__ = ["Preference", "PreferenceFile", "read_preferences", "transcript", "write_preferences"]

logger = logging.getLogger(__name__)

ANSWER_MARKS = ("\nAssistant:", "### Assistant:", "###Assistant:", "\n答：")
"""What comes before an answer in a transcript; the last one that both transcripts share ends their prompt."""

EXPECTED = "expected prompt, chosen and rejected; chosen and rejected; positive and negative; or a ranked list `output`"
GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Preference:
    """A prompt, the answer that is preferred, and one that is not."""

    prompt: str
    chosen: str
    rejected: str


class PreferenceFile(NamedTuple):
    """The pairs of a file, and how many were left out because their sides are equal, or one is empty."""

    pairs: list[Preference]
    n_equal: int
    n_empty: int


def read_preferences(path: Path) -> PreferenceFile:
    """Read all pairs of a file, in its order; a ranked list gives each pair of its answers.

    Raises: InputError when the file cannot be read, a row is of no known form, or no pair is left.
    """
    pairs: list[Preference] = []
    left_out = {"equal": 0, "empty": 0}
    first = ""
    for where, row in _rows(path, _text(path)):
        for pair in _pairs(where, row):
            if fault := _fault(pair):
                left_out[fault] += 1
                first = first or where
            else:
                pairs.append(pair)
    said = f"{left_out['equal']} pairs with equal sides and {left_out['empty']} with an empty one, the first at {first}"
    if not pairs:
        raise InputError(f"{path}: no pair to learn from ({said if first else 'it has no rows'}); give it two answers")
    if first:
        logger.warning("%s: left out %s", path, said)
    return PreferenceFile(pairs, left_out["equal"], left_out["empty"])


def write_preferences(pairs: Iterable[Preference], path: Path) -> None:
    """Write pairs in this program's own form, one JSON object a line. Raises: StorageError."""
    with replacing_text(path) as stream:
        for pair in pairs:
            stream.write(json.dumps(asdict(pair), ensure_ascii=False) + "\n")


def transcript(turns: Iterable[tuple[str, str]], question: str) -> str:
    r"""A conversation as a prompt in the form that this program's generators know.

    >>> transcript([("惠能是谁？", "禅宗六祖。")], "生于何年？")
    '问：惠能是谁？\n答：禅宗六祖。\n问：生于何年？\n答：'
    """
    return "".join(f"问：{asked}\n答：{answered}\n" for asked, answered in turns) + f"问：{question}\n答："


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
        data = gzip.decompress(data) if data.startswith(GZIP_MAGIC) else data
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8; expected JSON, or JSON lines, of preferences") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path}: cannot be unpacked ({error}); it may be cut off, fetch it again") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); name an existing file of preferences") from error


def _rows(path: Path, text: str) -> Iterator[tuple[str, Any]]:
    """Give each row and where it stands: one JSON document, or else one object a line."""
    try:
        document = json.loads(text)
    except ValueError as error:
        if not _is_json(text.lstrip().partition("\n")[0]):
            line = getattr(error, "lineno", 1)
            raise InputError(f"{path}:{line}: not JSON ({error}); {EXPECTED}, as JSON or JSON lines") from error
        yield from _json_lines(path, text)
        return
    if isinstance(document, dict):
        document = document.get("instances", [document])
    if not isinstance(document, list):
        raise InputError(f"{path}: got {str(document)[:40]!r}; {EXPECTED}")
    for number, row in enumerate(document, 1):
        yield f"{path}: row {number}", row


def _json_lines(path: Path, text: str) -> Iterator[tuple[str, Any]]:
    # Values may hold Unicode line separators, so only "\n" ends a line.
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield f"{path}:{number}", json.loads(line)
            except ValueError as error:
                raise InputError(f"{path}:{number}: not JSON ({error}); {EXPECTED}, one object a line") from error


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _pairs(where: str, row: Any) -> Iterator[Preference]:
    keys = row.keys() if isinstance(row, dict) else set()
    if {"prompt", "chosen", "rejected"} <= keys:
        yield Preference(*_texts(where, row, "prompt", "chosen", "rejected"))
    elif {"chosen", "rejected"} <= keys:
        yield _split(*_texts(where, row, "chosen", "rejected"))
    elif {"positive", "negative"} <= keys:
        yield _split(*_texts(where, row, "positive", "negative"))
    elif {"instruction", "output"} <= keys:
        yield from _ranked(where, row)
    else:
        raise InputError(f"{where}: got {str(row)[:60]!r}; {EXPECTED}")


def _texts(where: str, row: dict[str, Any], *keys: str) -> list[str]:
    for key in keys:
        if not isinstance(row[key], str):
            raise InputError(f"{where}: {key!r} is {str(row[key])[:40]!r}; expected a text")
    return [row[key] for key in keys]


def _split(chosen: str, rejected: str) -> Preference:
    """Part two transcripts into what both begin with, up to the mark of the answer, and their answers."""
    n_shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(chosen, rejected, strict=False)))
    shared = chosen[:n_shared]
    end = max(at + len(mark) if (at := shared.rfind(mark)) >= 0 else 0 for mark in ANSWER_MARKS)
    end = end or shared.rfind("\n") + 1
    return Preference(chosen[:end], chosen[end:], rejected[end:])


def _ranked(where: str, row: dict[str, Any]) -> Iterator[Preference]:
    answers, turns = row["output"], row.get("history") or []
    if not isinstance(answers, list) or not all(isinstance(answer, str) for answer in answers):
        raise InputError(f"{where}: 'output' is {str(answers)[:40]!r}; expected a list of texts, best first")
    if not isinstance(turns, list) or not all(_is_turn(turn) for turn in turns):
        raise InputError(f"{where}: 'history' is {str(turns)[:40]!r}; expected a list of [question, answer]")
    (question,) = _texts(where, row, "instruction")
    if extra := row.get("input"):
        question = f"{question}\n{extra}"
    for better, worse in combinations(answers, 2):
        yield Preference(transcript(turns, question), better, worse)


def _is_turn(turn: Any) -> bool:
    return isinstance(turn, list) and len(turn) == 2 and all(isinstance(text, str) for text in turn)


def _fault(pair: Preference) -> str | None:
    if not pair.chosen.strip() or not pair.rejected.strip():
        return "empty"
    return "equal" if pair.chosen.strip() == pair.rejected.strip() else None
