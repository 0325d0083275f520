"""A dialogue as one JSON file: what was said, how it was understood, and the answers with what they rest on."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

from kb_index.atomic import replacing_text
from kb_index.errors import DialogueFileError
from kb_index.types import Entity, Triple
from kbqa_agent.types import Abstention, Answer, Candidate, EntityMention, Turn

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
        return turns_from_json(json.loads(path.read_text(encoding="utf-8")))
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
        return [Turn(_text(t["question"]), _answer(t["answer"]), _text(t["said"])) for t in saved["turns"]]
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
        "mentions": [[m.text, m.start, m.end, [list(e) for e in m.entities]] for m in answer.mentions],
        "candidates": [[c.answer, float(c.score), [_triple_to_json(t) for t in c.evidence]] for c in answer.candidates],
    }


def _triple_to_json(triple: Triple) -> list[Any]:
    return [*triple[:5], [dict(columns) for columns in triple.extra]]


def _answer(saved: dict[str, Any]) -> Answer:
    mentions = tuple(
        EntityMention(_text(text), int(start), int(end), tuple(map(_entity, entities)))
        for text, start, end, entities in saved["mentions"]
    )
    candidates = tuple(
        Candidate(_text(answer), float(score), tuple(map(_triple, evidence)))
        for answer, score, evidence in saved["candidates"]
    )
    if saved["abstained"] not in (None, *get_args(Abstention)):
        raise ValueError(f"no reason to say nothing: {saved['abstained']}")
    return Answer(
        _text(saved["question"]),
        None if saved["text"] is None else _text(saved["text"]),
        float(saved["confidence"]),
        saved["abstained"],
        candidates,
        mentions,
        supported=bool(saved["supported"]),
        values=tuple(map(_text, saved["values"])),
        meant=_entity(saved["meant"]) if saved["meant"] else None,
    )


def _entity(saved: list[Any]) -> Entity:
    number, name, key = saved
    return Entity(int(number), _text(name), None if key is None else _text(key))


def _triple(saved: list[Any]) -> Triple:
    number, subject, predicate, object_, subject_id, extra = saved
    columns = tuple({_text(column): _text(text) for column, text in of_line.items()} for of_line in extra)
    return Triple(int(number), _text(subject), _text(predicate), _text(object_), int(subject_id), columns)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return CONTROL.sub(" ", value)  # a file may be anybody's, and a terminal obeys control characters
