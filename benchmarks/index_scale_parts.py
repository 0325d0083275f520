"""The parts of `index_scale.py`, each run as a process of its own: prints one JSON object."""

from __future__ import annotations

import gc
import json
import random
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from functools import cache
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from fuzzy_names import draw as draw_misspelt
from index_scale import percentiles, resident_megabytes

from kb_index.progress import StageCost

N_QUESTIONS = 1000
N_LOOK_UPS = 500
N_MISSPELT = 300
FIRST = 10
FLOOR = """
    CREATE TEMP TABLE plain AS FROM read_csv($1, delim = '|||', quote = '', escape = '',
        header = false, strict_mode = false, ignore_errors = true, auto_detect = false,
        columns = {'s': 'VARCHAR', 'p': 'VARCHAR', 'o': 'VARCHAR'})
"""


def floor(triples: str) -> dict[str, Any]:
    """Read the file with DuckDB alone."""
    import duckdb

    return {"seconds": round(seconds(lambda: duckdb.execute(FLOOR, [triples]).fetchall()), 2)}


def build(triples: str, index: str) -> dict[str, Any]:
    """Build the index."""
    from kb_index import build_index

    started = time.perf_counter()
    manifest = build_index([Path(triples)], Path(index), progress=False)
    return {
        "triples": manifest.counts.triples,
        "entities": manifest.counts.entities,
        "attributes": manifest.counts.attributes,
        "seconds": round(time.perf_counter() - started, 1),
        "peak_gigabytes": peak_gigabytes(manifest.stages),
        "bytes": sum(info.bytes for info in manifest.files.values()),
        "stages": {
            name: [round(cost.seconds, 1), round(cost.peak_bytes / 1e9, 2)] for name, cost in manifest.stages.items()
        },
    }


def ask(index: str, questions: str) -> dict[str, Any]:
    """Open the index in this fresh process, then link questions and retrieve their candidates, timing each."""
    asked = drawn(questions, N_QUESTIONS)
    from kb_index import KnowledgeBase
    from kbqa_agent.linking import link
    from kbqa_agent.retrieval import retrieve

    started = time.perf_counter()
    with KnowledgeBase.open(index) as kb:
        opened, memory = time.perf_counter() - started, resident_megabytes()
        loading = seconds(kb.preload)
        gc.freeze()  # as the commands do that answer many questions
        wall, processor = zip(*(seconds_of_both(lambda q=q: retrieve(kb, link(kb, q))) for q in asked), strict=True)
        n_triples = sorted(len(retrieve(kb, link(kb, q))) for q in asked)
    return {
        "open_seconds": round(opened, 3),
        "resident_megabytes_after_opening": memory,
        "preload_seconds": round(loading, 2),
        "link_and_retrieve_ms": percentiles([1e3 * s for s in wall]),
        "link_and_retrieve_processor_ms": percentiles([1e3 * s for s in processor]),
        "triples_a_question_p50_p99": [n_triples[len(asked) // 2], n_triples[99 * len(asked) // 100]],
    }


def look_up(index: str, questions: str) -> dict[str, Any]:
    """Time single look-ups of each kind, in microseconds or milliseconds."""
    from kb_index import KnowledgeBase

    asked, rng = drawn(questions, N_LOOK_UPS), random.Random(0)
    with KnowledgeBase.open(index) as kb:
        n = kb.manifest.counts.entities
        ids = [rng.randrange(n) for _ in range(N_LOOK_UPS)]
        entities = [kb.entities([i])[0] for i in ids]
        predicates = [kb.triples_of([i])[0].predicate for i in ids]
        calls: dict[str, Iterable[Callable[[], object]]] = {
            "mentions": ((lambda q=q: kb.mentions(q)) for q in asked),
            "triples_by_subject": ((lambda i=i: kb.triples_of([i])) for i in ids),
            "triples_by_object": ((lambda e=e: kb.triples_about(e.name)) for e in entities),
            "entities_by_name": ((lambda e=e: kb.entities_named(e.name)) for e in entities),
            "attribute_by_name": ((lambda p=p: kb.attribute_frequency([p])) for p in predicates),
            "names_by_prefix": ((lambda e=e: kb.names_with_prefix(e.name[:2], 10)) for e in entities),
            "similar_attributes": ((lambda p=p: kb.similar_attributes([p], 10)) for p in predicates),
        }
        return {f"{name}_ms": percentiles([1e3 * seconds(call) for call in made]) for name, made in calls.items()}


def fuzzy(index: str) -> dict[str, Any]:
    """Look misspelt names up: the milliseconds, and how often the name meant is among the first ten."""
    from kb_index import KnowledgeBase
    from kb_index.columns import TextColumn
    from kb_index.normalize import plain_name

    column = TextColumn.open(Path(index) / "facts" / "names")
    plain = list(dict.fromkeys(plain_name(column[row]) for row in range(len(column))))
    cases, left_out = draw_misspelt(plain, N_MISSPELT, 0)
    found: dict[str, list[bool]] = {}
    times = []
    with KnowledgeBase.open(index) as kb:
        first = seconds(lambda: kb.similar_entities(["名字"], FIRST))
        for kind, text, number in cases:
            started = time.perf_counter()
            [matches] = kb.similar_entities([text], FIRST)
            times.append(1e3 * (time.perf_counter() - started))
            nearest = {plain_name(match.entity.name) for match in matches}
            found.setdefault(kind, []).append(plain[number] in nearest)
    recall = {kind: round(sum(hits) / len(hits), 3) for kind, hits in found.items()}
    return {
        "cases": len(cases),
        "left_out_as_names_themselves": left_out,
        "first_ms": round(1e3 * first, 1),
        "ms": percentiles(times),
        f"recall@{FIRST}": recall | {"all": round(sum(recall.values()) / len(recall), 3)},
    }


def threads(index: str, questions: str, n: str) -> dict[str, Any]:
    """Let threads that share one open index link and retrieve for all questions."""
    with ThreadPoolExecutor(int(n)) as pool:
        return _read(pool, index, questions, int(n))


def processes(index: str, questions: str, n: str) -> dict[str, Any]:
    """Let processes, each with the index open, link and retrieve for all questions."""
    with ProcessPoolExecutor(int(n), mp_context=get_context("spawn")) as pool:
        return _read(pool, index, questions, int(n))


def _read(pool: Executor, index: str, questions: str, n: int) -> dict[str, Any]:
    asked = drawn(questions, N_QUESTIONS)
    list(pool.map(link_and_retrieve, [index] * n, [asked[:20]] * n))  # open everywhere before the clock runs
    took = seconds(lambda: list(pool.map(link_and_retrieve, [index] * n, [asked[i::n] for i in range(n)])))
    return {"questions_per_second": round(len(asked) / took)}


@cache
def opened(index: str) -> Any:
    """Open an index once in a process."""
    from kb_index import KnowledgeBase

    return KnowledgeBase.open(index)


def link_and_retrieve(index: str, questions: list[str]) -> int:
    """Count the candidates of some questions."""
    from kbqa_agent.linking import link
    from kbqa_agent.retrieval import retrieve

    kb = opened(index)
    return sum(len(retrieve(kb, link(kb, question))) for question in questions)


def change(triples: str, index: str, n: str) -> dict[str, Any]:
    """Add triples to the index, half of them to entities that are there; add them again; take them out again."""
    from kb_index import KnowledgeBase, delete_triples, update_index

    half = int(n) // 2
    with KnowledgeBase.open(index) as kb, Path(triples).open(encoding="utf-8") as lines:
        every = kb.manifest.counts.lines // half
        subjects = [line.split(" ||| ", 1)[0] for line in islice(lines, 0, every * half, every)]
    added = [(subject, "新的属性", f"值{i}") for i, subject in enumerate(subjects)]
    added += [(f"新的实体{i}", "作者", subject) for i, subject in enumerate(subjects)]
    figures: dict[str, Any] = {"lines": len(added)}
    with KnowledgeBase.open(index) as kb:
        for name, action in (
            ("add", lambda: update_index([added], Path(index), progress=False)),
            ("add_again", lambda: update_index([added], Path(index), progress=False)),
            ("delete", lambda: delete_triples(Path(index), sources=[added], progress=False)),
        ):
            started = time.perf_counter()
            info = action()
            figures[name] = {
                "seconds": round(time.perf_counter() - started, 2),
                "added": info.added,
                "removed": info.removed,
                "peak_gigabytes": peak_gigabytes(info.stages),
            }
            figures["reopen_seconds"] = round(seconds(kb.reopen), 3)
    return figures


def peak_gigabytes(stages: Mapping[str, StageCost]) -> float:
    """The largest peak of some stages, whose beginnings reset what the operating system counts."""
    return round(max((cost.peak_bytes for cost in stages.values()), default=0) / 1e9, 2)


def drawn(questions: str, n: int) -> list[str]:
    """Draw questions of a file."""
    from kbqa_agent.qa_data import draw, read_questions

    return [example.question for example in draw(read_questions(Path(questions)), n, seed=0)]


def seconds_of_both(action: Callable[[], object]) -> tuple[float, float]:
    """Wall-clock seconds of a call, and those of this thread on a processor, which other programs lengthen less."""
    started = time.thread_time()
    return seconds(action), time.thread_time() - started


def seconds(action: Callable[[], object]) -> float:
    """Wall-clock seconds of a call."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


if __name__ == "__main__":
    print(
        json.dumps(
            {f.__name__: f for f in (floor, build, ask, look_up, fuzzy, threads, processes, change)}[sys.argv[1]](
                *sys.argv[2:]
            )
        )
    )
