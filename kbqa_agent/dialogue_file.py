"""A dialogue as one JSON file: what was said, how it was understood, and the answers with what they rest on."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kb_index.atomic import replacing_text
from kb_index.errors import DialogueFileError
from kb_index.types import Entity, Triple
from kbqa_agent.types import Answer, Candidate, EntityMention, Turn

__all__ = ["read_turns", "turns_from_json", "turns_to_json", "write_turns"]

FORMAT_VERSION = 1
MAX_BYTES = 50_000_000


def write_turns(turns: Iterable[Turn], path: Path) -> None:
    """Save the turns of a dialogue, replacing one that is there.

    Raises: DialogueFileError when something else is there; StorageError.
    """
    if path.exists():
        read_turns(path)
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
        return [Turn(str(t["question"]), _answer(t["answer"]), str(t["said"])) for t in saved["turns"]]
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError("it is damaged") from error


def _answer_to_json(answer: Answer) -> dict[str, Any]:
    return {
        "question": answer.question,
        "text": answer.text,
        "confidence": float(answer.confidence),
        "abstained": answer.abstained,
        "supported": answer.supported,
        "values": list(answer.values),
        "mentions": [[m.text, m.start, m.end, [list(e) for e in m.entities]] for m in answer.mentions],
        "candidates": [[c.answer, float(c.score), [list(t[:5]) for t in c.evidence]] for c in answer.candidates],
    }


def _answer(saved: dict[str, Any]) -> Answer:
    mentions = tuple(
        EntityMention(str(text), int(start), int(end), tuple(Entity(*e) for e in entities))
        for text, start, end, entities in saved["mentions"]
    )
    candidates = tuple(
        Candidate(str(answer), float(score), tuple(Triple(*t) for t in evidence))
        for answer, score, evidence in saved["candidates"]
    )
    return Answer(
        str(saved["question"]),
        saved["text"],
        float(saved["confidence"]),
        saved["abstained"],
        candidates,
        mentions,
        supported=bool(saved["supported"]),
        values=tuple(saved["values"]),
    )
