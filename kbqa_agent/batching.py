"""Many questions at once: ranked together, and judged by the generator in threads while others are ranked.

Every question goes through the same steps as alone, and gets the same answer; likelihoods of a generator that judges
several together are those of each alone up to rounding. Several processes are `workers.py`.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from kb_index.errors import KBQAError
from kbqa_agent.judging import Unjudged, begin_judging
from kbqa_agent.parallel import n_processors
from kbqa_agent.types import Answer, ConcurrentGenerator
from kbqa_agent.workers import RankingRecipe, answers_elsewhere, recipe_of

if TYPE_CHECKING:
    from kbqa_agent.agent import KBQAgent

__all__ = ["answers_to"]

AT_ONCE = 50
"""So many questions are ranked together; more of them gain nothing."""
AT_ONCE_TO_JUDGE = 20
"""So many where a generator waits for them, so that it has something to do early."""
LOOK_AHEAD = 60
"""So many answers may wait for one before them."""
WORTH_PROCESSES = 500
"""So many questions are worth the seconds that processes take to start."""

logger = logging.getLogger(__name__)

Task = Answer | Unjudged


def answers_to(agent: KBQAgent, questions: Sequence[str], processes: int | None) -> Iterator[Answer]:
    """Answer the questions in their order, each distinct one once; `processes` as in `KBQAgent.ask_many`."""
    distinct = list(dict.fromkeys(questions))
    found = agent.workers.answers(distinct) if agent.workers else _answers_here(agent, distinct, processes)
    left, known = Counter(questions), dict[str, Answer]()
    for question in questions:
        answer = known[question] if question in known else next(found)
        left[question] -= 1
        if left[question]:
            known[question] = answer
        else:
            known.pop(question, None)
        yield answer


def _answers_here(agent: KBQAgent, distinct: Sequence[str], processes: int | None) -> Iterator[Answer]:
    wanted = processes if processes is not None else n_processors() if len(distinct) >= WORTH_PROCESSES else 1
    recipe = recipe_of(agent) if wanted > 1 else None
    if recipe is None and (processes or 1) > 1:
        logger.warning("%d processes: none but this one can answer as this agent does; it answers alone", processes)
    return _in_order(agent, _tasks(agent, distinct, recipe, wanted))


def _tasks(
    agent: KBQAgent, questions: Sequence[str], recipe: RankingRecipe | None, processes: int
) -> Iterator[list[Task]]:
    """What is to be done, some questions at a time."""
    n_begun = 0
    if recipe is not None:
        try:
            some: list[Task] = []
            for answer in answers_elsewhere(agent.kb, recipe, questions, processes):
                some.append(answer or Unjudged(questions[n_begun + len(some)], None))
                if n_begun + len(some) == len(questions) or len(some) == AT_ONCE_TO_JUDGE:
                    n_begun += len(some)
                    yield some
                    some = []
        except KBQAError as error:
            logger.warning("%s; the other questions are asked in one process", error)
    at_once = AT_ONCE_TO_JUDGE if _has_generator(agent) else AT_ONCE
    for start in range(n_begun, len(questions), at_once):
        batch = questions[start : start + at_once]
        ranked = [None] * len(batch) if agent.config.closed_book else agent.rank_many(batch)
        yield [Unjudged(*of_question) for of_question in zip(batch, ranked, strict=True)]


def _in_order(agent: KBQAgent, batches: Iterator[list[Task]]) -> Iterator[Answer]:
    """Do what is left, in the threads that suit the generator, and give the answers in the order of the tasks."""
    with _executor(agent) as pool:
        if pool is None:
            yield from (task if isinstance(task, Answer) else task.answer(agent) for of in batches for task in of)
            return
        begun: deque[Answer | Future[Answer]] = deque()
        try:
            for of in batches:
                futures = iter(begin_judging(agent, pool, [task for task in of if isinstance(task, Unjudged)]))
                begun += [task if isinstance(task, Answer) else next(futures) for task in of]
                while begun and (len(begun) > LOOK_AHEAD or _is_there(begun[0])):
                    yield _answer(begun.popleft())
            while begun:
                yield _answer(begun.popleft())
        finally:
            for waiting in begun:
                if isinstance(waiting, Future):
                    waiting.cancel()


def _executor(agent: KBQAgent) -> AbstractContextManager[Executor | None]:
    generator = agent.generator
    if generator is None or not _has_generator(agent):
        return nullcontext(None)
    return generator.executor() if isinstance(generator, ConcurrentGenerator) else ThreadPoolExecutor(1)


def _has_generator(agent: KBQAgent) -> bool:
    return agent.generator is not None and agent.config.generator != "never"


def _is_there(begun: Answer | Future[Answer]) -> bool:
    return isinstance(begun, Answer) or begun.done()


def _answer(begun: Answer | Future[Answer]) -> Answer:
    return begun if isinstance(begun, Answer) else begun.result()
