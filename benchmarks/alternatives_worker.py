"""One phase of one system of `alternatives.py`, in a process of its own; prints its figures as one JSON object.

`build` makes what the system saves. `ask` opens that, asks 20 questions to warm up, and then times each drawn question
twice: the first 20 triples, and, where a system has that step, the linked entities' triples without their ranking. MB
are 10**6 bytes; `build_peak_mb` includes the peak of the largest process that the build itself started.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import psutil

Row = tuple[str, str, str]
FIRST = 20
WARM_UP = 20
MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1024


class LookUp(Protocol):
    """An open system."""

    retrieve: Callable[[str], object] | None
    """Fetches the triples of a question's entities, unranked; None where the system has no such step."""

    def first(self, question: str, n: int) -> list[Row]:
        """The `n` triples (s, p, o) that most likely answer the question."""


class System(Protocol):
    """A module `alternatives_*`: `source` is the file of triples, `folder` an empty folder for what is saved."""

    def build(self, source: Path, folder: Path) -> None:
        """Save what `open_saved` needs."""

    def open_saved(self, source: Path, folder: Path) -> LookUp:
        """Get ready for questions."""


def main() -> None:
    """Run the phase."""
    phase, name, source, questions, folder, drawn = sys.argv[1:]
    if phase == "build":
        figures = built(name, Path(source), Path(folder))
    else:
        figures = asked(name, Path(source), Path(folder), drawn_examples(Path(questions), int(drawn)))
    print(json.dumps(figures))


def built(name: str, source: Path, folder: Path) -> dict[str, Any]:
    """Time, size and memory of a build."""
    started = time.perf_counter()
    system(name).build(source, folder)
    seconds = time.perf_counter() - started
    return {
        "build_seconds": round(seconds, 1),
        "disk_mb": megabytes(sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())),
        "build_peak_mb": megabytes(peak_bytes(resource.RUSAGE_SELF) + peak_bytes(resource.RUSAGE_CHILDREN)),
    }


def asked(name: str, source: Path, folder: Path, examples: Sequence[Any]) -> dict[str, Any]:
    """Memory, times and recall of an open system; the first `WARM_UP` examples are not counted."""
    before = time.perf_counter()
    look_up = system(name).open_saved(source, folder)
    opened, resident = time.perf_counter() - before, resident_mb()
    for example in examples[:WARM_UP]:
        look_up.first(example.question, FIRST)
    counted = examples[WARM_UP:]
    found, first_ms = timed(lambda question: look_up.first(question, FIRST), [e.question for e in counted])
    figures = {
        "open_seconds": round(opened, 2),
        "open_mb": resident,
        "asked_mb": resident_mb(),
        "first_ms": percentiles(first_ms),
        "recall_1": recall([rows[:1] for rows in found], counted),
        "recall_20": recall(found, counted),
        "n_questions": len(counted),
    }
    if look_up.retrieve is not None:
        figures["retrieve_ms"] = percentiles(timed(look_up.retrieve, [e.question for e in counted])[1])
    return figures


def drawn_examples(questions: Path, n: int) -> list[Any]:
    """First some examples to warm up with, then `n` others, drawn with seed 0 from those with a gold triple."""
    from kbqa_agent.qa_data import draw, read_questions

    usable = [e for e in read_questions(questions) if e.triple is not None]
    counted = draw(usable, n, seed=0)
    ids = {e.id for e in counted}
    others = [e for e in usable if e.id not in ids] or usable
    return [*draw(others, WARM_UP, seed=1), *counted]


def system(name: str) -> System:
    """The module of a system; its imports are part of building and of opening."""
    module: Any = import_module(f"alternatives_{name}")
    return module  # type: ignore[no-any-return]


def timed(action: Callable[[str], Any], questions: Sequence[str]) -> tuple[list[Any], list[float]]:
    """The results of an action for each question, and its milliseconds."""
    results, times = [], []
    for question in questions:
        started = time.perf_counter()
        results.append(action(question))
        times.append(1000 * (time.perf_counter() - started))
    return results, times


def recall(found: Sequence[Sequence[Row]], examples: Sequence[Any]) -> float:
    """The share of the examples whose gold triple is among those found."""
    held = [holds_gold(rows, example.triple) for rows, example in zip(found, examples, strict=True)]
    return round(sum(held) / len(held), 3)


def holds_gold(found: Sequence[Row], gold: Row) -> bool:
    """Whether the gold triple is among those found: subject by name, predicate and object as `kbqa eval` compares."""
    from kb_index.normalize import aliases_of, normalize_attribute, normalize_name
    from kbqa_agent.qa_data import comparable

    subject, predicate, answer = normalize_name(gold[0]), normalize_attribute(gold[1]), comparable(gold[2])
    return any(
        comparable(o) == answer and normalize_attribute(p) == predicate and subject in aliases_of(s)
        for s, p, o in found
    )


def percentiles(values: Sequence[float]) -> list[float]:
    """The median and the 99th percentile."""
    ordered = sorted(values)
    return [round(ordered[int(share * (len(ordered) - 1))], 2) for share in (0.5, 0.99)]


def resident_mb() -> float:
    """Resident memory now, mapped files included where they were touched."""
    return megabytes(psutil.Process().memory_info().rss)


def peak_bytes(who: int) -> int:
    """The largest resident memory so far of this process, or of the largest of its children that have ended."""
    return resource.getrusage(who).ru_maxrss * MAXRSS_BYTES


def megabytes(n_bytes: int) -> float:
    """10**6 bytes."""
    return round(n_bytes / 1e6)


if __name__ == "__main__":
    main()
