"""A dialogue as one JSON file: what was said, how it was understood, and the answers with what they rest on."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

from kb_index.atomic import replacing_text
from kb_index.errors import DialogueFileError
from kb_index.types import Entity
from kbqa_agent.answer_codec import (
    candidates_from_rows,
    candidates_to_rows,
    mentions_from_rows,
    mentions_to_rows,
    text_of,
)
from kbqa_agent.types import Abstention, Answer, Turn

__all__ = ["read_turns", "turns_from_json", "turns_to_json", "write_turns"]

FORMAT_VERSION = 1
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
MAX_BYTES = 50_000_000


def write_turns(turns: Iterable[Turn], path: Path) -> None:
    """Save the turns of a dialogue, replacing one that is there.

    Raises: DialogueFileError when something else is there; StorageError.
    """
    if path.exists():
        try:
            read_turns(path)
        except DialogueFileError as error:
            raise DialogueFileError(
                f"{str(path)!r}: something else than a dialogue is there; choose another file"
            ) from error
    with replacing_text(path) as stream:
        stream.write(json.dumps(turns_to_json(turns), ensure_ascii=False, indent=1) + "\n")


def read_turns(path: Path) -> list[Turn]:
    """Read what `write_turns` wrote. Raises: DialogueFileError."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"it has over {MAX_BYTES:,} bytes")
        return turns_from_json(_printable(json.loads(path.read_text(encoding="utf-8"))))
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DialogueFileError(
            f"dialogue {str(path)!r}: cannot be read ({reason}); name a file that a dialogue was saved in"
        ) from error


def turns_to_json(turns: Iterable[Turn]) -> dict[str, Any]:
    """Turn a dialogue's turns into plain values."""
    return {
        "format": FORMAT_VERSION,
        "turns": [{"said": t.said, "question": t.question, "answer": _answer_to_json(t.answer)} for t in turns],
    }


def turns_from_json(saved: Any) -> list[Turn]:
    """Read plain values that `turns_to_json` gave. Raises: ValueError when they are anything else."""
    if not isinstance(saved, dict) or not isinstance(saved.get("format"), int):
        raise ValueError("it is no dialogue")
    if saved["format"] != FORMAT_VERSION:
        raise ValueError(
            f"its format is {saved['format']}, expected {FORMAT_VERSION}, as another version of kbqa wrote it"
        )
    try:
        return [Turn(text_of(t["question"]), _answer(t["answer"]), text_of(t["said"])) for t in saved["turns"]]
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        raise ValueError("it is damaged") from error


def _answer_to_json(answer: Answer) -> dict[str, Any]:
    return {
        "question": answer.question,
        "text": answer.text,
        "confidence": float(answer.confidence),
        "abstained": answer.abstained,
        "supported": answer.supported,
        "values": list(answer.values),
        "meant": list(answer.meant) if answer.meant else None,
        "partial": answer.partial,
        "mentions": mentions_to_rows(answer.mentions),
        "candidates": candidates_to_rows(answer.candidates),
    }


def _answer(saved: dict[str, Any]) -> Answer:
    if saved["abstained"] not in (None, *get_args(Abstention)):
        raise ValueError(f"no reason to say nothing: {saved['abstained']}")
    return Answer(
        text_of(saved["question"]),
        None if saved["text"] is None else text_of(saved["text"]),
        float(saved["confidence"]),
        saved["abstained"],
        candidates_from_rows(saved["candidates"]),
        mentions_from_rows(saved["mentions"]),
        supported=bool(saved["supported"]),
        values=tuple(map(text_of, saved["values"])),
        meant=_entity(*saved["meant"]) if saved["meant"] else None,
        partial=bool(saved.get("partial")),  # files from before shards lack it
    )


def _entity(number: Any, name: Any, key: Any) -> Entity:
    return Entity(int(number), text_of(name), None if key is None else text_of(key))


def _printable(saved: Any) -> Any:
    """The same values without control characters: a file may be anybody's, and a terminal obeys them."""
    if isinstance(saved, str):
        return CONTROL.sub(" ", saved)
    if isinstance(saved, list):
        return [_printable(value) for value in saved]
    return {key: _printable(value) for key, value in saved.items()} if isinstance(saved, dict) else saved
