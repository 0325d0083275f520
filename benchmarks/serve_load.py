"""How much one server takes on: questions a second, look-ups beside a generator, and too much of it all.

    python benchmarks/serve_load.py --index my-index --questions test.nlpcc

Four parts: `ranker` (distinct questions over 64 connections, no generator), `overload` (ten times as many connections;
what is sent away, and whether it recovers), `kill` (pieces of feedback during that, and `kill -9`), and `generator`
(questions that the ranker is unsure of, and look-ups beside them). The client shares the machine with the server.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import psutil
from plain_http import Connection, Response
from recording import record
from served import Served, served

from kbqa_agent.feedback import FeedbackStore
from kbqa_agent.qa_data import read_questions

PARTS = ("ranker", "overload", "kill", "generator")
NO_MODEL = ["--model", "none"]
SURE_ABOVE = 0.9


class Figures:
    """Statuses and times of replies; times are of those with status 200."""

    def __init__(self) -> None:
        self.statuses: Counter[str] = Counter()
        self._seconds: list[float] = []
        self._began = time.perf_counter()
        self.n_without_retry_after = 0

    async def timed(self, request: Awaitable[Response]) -> Response | None:
        """Await a request and note it."""
        began = time.perf_counter()
        try:
            response = await request
        except (OSError, asyncio.IncompleteReadError) as error:
            self.statuses[type(error).__name__] += 1
            return None
        self.statuses[str(response.status)] += 1
        if response.status == 200:
            self._seconds.append(time.perf_counter() - began)
        elif response.status == 503 and "retry-after" not in response.headers:
            self.n_without_retry_after += 1
        return response

    def summary(self) -> dict[str, Any]:
        """Rates and percentiles, in milliseconds."""
        lasted = time.perf_counter() - self._began
        found = {"seconds": round(lasted, 1), "statuses": dict(sorted(self.statuses.items()))}
        if not self._seconds:
            return found
        p50, p99 = np.percentile(np.array(self._seconds) * 1000, [50, 99])
        return found | {
            "answered_per_second": round(len(self._seconds) / lasted, 1),
            "p50_ms": round(float(p50), 1),
            "p99_ms": round(float(p99), 1),
            "max_ms": round(1000 * max(self._seconds), 1),
        }


async def ask_all(
    url: str, questions: Iterator[str], connections: int, seconds: float, system: str | None = None
) -> dict[str, Any]:
    """Keep so many connections busy for so long, each with the next question until it is answered."""
    figures, end = Figures(), time.perf_counter() + seconds

    async def user() -> None:
        async with Connection(url) as connection:
            question = next(questions, None)
            while time.perf_counter() < end and question is not None:
                body = {"question": question} | ({"system": system} if system else {})
                reply = await figures.timed(connection.post("/api/ask", body))
                if reply is None or reply.status == 503:
                    await asyncio.sleep(min(1.0, float(reply.headers.get("retry-after", "1")) if reply else 1.0))
                else:
                    question = next(questions, None)

    await asyncio.gather(*(user() for _ in range(connections)))
    return figures.summary() | {"connections": connections, "503_without_retry_after": figures.n_without_retry_after}


async def rate(url: str, answer_id: str, n: int, users: int, on: Callable[[int], None]) -> list[str]:
    """Send n pieces of feedback, each with a comment of its own, and give the comments that were acknowledged."""
    numbers, acknowledged = iter(range(n)), list[str]()

    async def user() -> None:
        async with Connection(url) as connection:
            for number in numbers:
                body = {"answer_id": answer_id, "rating": "good", "comment": str(number)}
                while True:
                    try:
                        reply = await connection.post("/api/feedback", body)
                    except (OSError, asyncio.IncompleteReadError):
                        return  # the server is gone
                    if reply.status == 200:
                        acknowledged.append(str(number))
                        on(len(acknowledged))
                        break
                    await asyncio.sleep(0.2)

    await asyncio.gather(*(user() for _ in range(users)))
    return acknowledged


async def ranker_part(running: Served, questions: Iterator[str], options: argparse.Namespace) -> dict[str, Any]:
    """Distinct questions, after a second to warm up; processor time is the server's and that of its processes."""
    await ask_all(running.url, questions, 4, 1)
    before = processor_seconds(running)
    found = await ask_all(running.url, questions, options.connections, options.seconds)
    used = [after - then for after, then in zip(processor_seconds(running), before, strict=True)]
    answered = max(1, found["statuses"].get("200", 0))
    cost = {
        name: round(1000 * seconds / answered, 2) for name, seconds in zip(("server", "rankers"), used, strict=True)
    }
    return found | {"processor_ms_per_question": cost}


def processor_seconds(running: Served) -> tuple[float, float]:
    """What the server, and the processes that rank for it, have used."""
    server = psutil.Process(running.process.pid)
    times = [process.cpu_times() for process in (server, *server.children())]
    own, *others = [t.user + t.system for t in times]
    return own, sum(others)


async def overload_part(running: Served, questions: Iterator[str], options: argparse.Namespace) -> dict[str, Any]:
    """Ten times the connections, and then a few again."""
    flood = await ask_all(running.url, questions, 10 * options.connections, options.seconds)
    await asyncio.sleep(1)
    return {"flood": flood, "after": await ask_all(running.url, questions, 8, options.seconds / 2)}


async def kill_part(
    running: Served, questions: Iterator[str], options: argparse.Namespace, folder: Path
) -> dict[str, Any]:
    """Feedback while ten times the connections ask; `kill -9` as soon as all but a hundredth is acknowledged."""
    async with Connection(running.url) as connection:
        first = (await connection.post("/api/ask", {"question": next(questions)})).json()["answer_id"]
    at = int(options.feedback * 0.99)

    def kill(n: int) -> None:
        if n == at:
            running.process.send_signal(signal.SIGKILL)

    flood = asyncio.ensure_future(ask_all(running.url, questions, 10 * options.connections, 3600))
    acknowledged = await rate(running.url, first, options.feedback, 16, kill)
    flood.cancel()
    running.process.wait()
    with FeedbackStore(folder / "feedback.sqlite", create=False) as store:
        kept = {record.feedback.comment for record in store.records()}
    lost = set(acknowledged) - kept
    return {"sent": options.feedback, "acknowledged": len(acknowledged), "kept": len(kept), "lost": len(lost)}


async def generator_part(running: Served, questions: Iterator[str], options: argparse.Namespace) -> dict[str, Any]:
    """Unsure questions to the generator from a few connections, and look-ups beside them, ten a second."""
    unsure, sure = [], []
    async with Connection(running.url) as connection:
        for question in itertools.islice(questions, options.sorted):
            told = (await connection.post("/api/ask", {"question": question, "system": "ranker"})).json()
            scores = [c["score"] for c in told["candidates"]]
            if told["abstained"] is None and scores:
                (sure if scores[0] >= SURE_ABOVE * sum(scores) else unsure).append(question)
        asked = [(q, (await connection.post("/api/ask", {"question": q})).json()) for q in sure[: options.look_ups]]
    sure = [question for question, told in asked if "score" not in told["timings_ms"]]  # no generator was asked
    alone = await beside(running.url, sure, options.seconds)
    end = asyncio.ensure_future(ask_all(running.url, iter(unsure), options.generating, options.seconds))
    meanwhile = await beside(running.url, sure, options.seconds)
    return {"generator": await end, "look_ups_alone": alone, "look_ups_meanwhile": meanwhile, "unsure": len(unsure)}


async def beside(url: str, sure: list[str], seconds: float) -> dict[str, Any]:
    """Ten look-ups a second: questions that the ranker is sure of, names that begin so, and neighbourhoods."""
    kinds = {name: Figures() for name in ("ask", "entities")}
    every, end = 0.1, time.perf_counter() + seconds
    async with Connection(url) as connection:
        for number, question in enumerate(itertools.cycle(sure)):
            began = time.perf_counter()
            if began > end:
                break
            if number % 2:
                await kinds["entities"].timed(connection.get(f"/api/entities?prefix={quote(question[:2])}"))
            else:
                await kinds["ask"].timed(connection.post("/api/ask", {"question": question}))
            await asyncio.sleep(max(0.0, every - (time.perf_counter() - began)))
    return {name: figures.summary() for name, figures in kinds.items()}


def main() -> None:
    """Measure, and write results/serve-load.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--index", type=Path, required=True)
    parser.add_argument("--questions", type=Path, required=True)
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--feedback", type=int, default=1000)
    parser.add_argument("--generating", type=int, default=4, help="connections that ask what needs the generator")
    parser.add_argument("--sorted", type=int, default=600, help="questions that are sorted into sure and unsure")
    parser.add_argument("--look-ups", type=int, default=150, help="sure questions that are asked again and again")
    options = parser.parse_args()
    distinct = list(dict.fromkeys(example.question for example in read_questions(options.questions)))
    figures: dict[str, Any] = {}
    for part in options.parts.split(","):
        questions = iter(distinct)  # each part has a server of its own
        with (
            tempfile.TemporaryDirectory() as folder,
            served(options.index, Path(folder), [] if part == "generator" else NO_MODEL) as running,
        ):
            if part == "kill":
                figures[part] = asyncio.run(kill_part(running, questions, options, Path(folder)))
            else:
                run = {"ranker": ranker_part, "overload": overload_part, "generator": generator_part}[part]
                figures[part] = asyncio.run(run(running, questions, options))
        figures[part]["tracebacks"] = "".join(running.log).count("Traceback")
        print(part, figures[part], flush=True)
    record("serve-load", figures, f"index {options.index.name}, questions {options.questions.name}")


if __name__ == "__main__":
    main()
