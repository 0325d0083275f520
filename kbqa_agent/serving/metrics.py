"""What Prometheus may know of a server: counts and times, and no text of anybody."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from kbqa_agent.serving.gate import Gate
from kbqa_agent.types import Answer, Rating

__all__ = ["Metrics"]

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """The figures of one server, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter("kbqa_requests", "Requests.", ["route", "method", "status"], registry=self.registry)
        self._seconds = Histogram(
            "kbqa_request_seconds", "Time to the end of the reply.", ["route"], buckets=SECONDS, registry=self.registry
        )
        self._answers = Counter("kbqa_answers", "Answers.", ["system", "abstained"], registry=self.registry)
        self._feedback = Counter("kbqa_feedback", "Pieces of feedback taken.", ["rating"], registry=self.registry)
        self._batch = Histogram(
            "kbqa_batch_questions", "Questions ranked together.", buckets=(1, 2, 5, 10, 20), registry=self.registry
        )

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count a request; `route` is the path with its parameters unfilled."""
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def answer(self, system: str, answer: Answer) -> None:
        """Count an answer."""
        self._answers.labels(system, answer.abstained or "no").inc()

    def feedback(self, rating: Rating) -> None:
        """Count a piece of feedback."""
        self._feedback.labels(rating).inc()

    def batch(self, n_questions: int) -> None:
        """Note how many questions were ranked together."""
        self._batch.observe(n_questions)

    def watch(self, gates: Iterable[Gate]) -> None:
        """Tell how full each gate is, and how many it sent away."""
        inside = Gauge("kbqa_under_way", "What is under way.", ["what"], registry=self.registry)
        refused = Gauge(
            "kbqa_refused", "What was sent away as too much was under way.", ["what"], registry=self.registry
        )
        for gate in gates:
            inside.labels(gate.what).set_function(lambda g=gate: g.n_inside)  # type: ignore[misc]
            refused.labels(gate.what).set_function(lambda g=gate: g.n_refused)  # type: ignore[misc]

    def watch_rankers(self, count: Callable[[], int]) -> None:
        """Tell how many processes rank beside the server's own."""
        Gauge("kbqa_rank_processes", "Processes that rank.", registry=self.registry).set_function(count)

    def text(self) -> bytes:
        """All figures in the text format of Prometheus."""
        return generate_latest(self.registry)
