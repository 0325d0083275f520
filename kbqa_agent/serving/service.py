"""What a server does for its users, whatever the protocol: ask, rate, look up; bounded, and each user apart."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, aclosing
from typing import ParamSpec, TypeVar

from kb_index.errors import FeedbackError
from kb_index.knowledge_base import KnowledgeBase
from kbqa_agent.daemons import DaemonExecutor
from kbqa_agent.dialogue import Dialogue
from kbqa_agent.serving.asked import Asked, Reply
from kbqa_agent.serving.buckets import Buckets
from kbqa_agent.serving.comparisons import Comparison, Comparisons
from kbqa_agent.serving.database import ServerDatabase
from kbqa_agent.serving.deadline import Deadline, TooLateError
from kbqa_agent.serving.dialogue_store import DialogueStore, Rated
from kbqa_agent.serving.failures import ServingError
from kbqa_agent.serving.gate import Gate
from kbqa_agent.serving.generations import Generations
from kbqa_agent.serving.lookup_batches import LookupBatches, answered_elsewhere
from kbqa_agent.serving.metrics import Metrics
from kbqa_agent.serving.open_dialogues import GivenAnswer, GivenAnswers, OpenDialogues
from kbqa_agent.serving.peers import Peers
from kbqa_agent.serving.rank_process import Task
from kbqa_agent.serving.ranking_alone import Looked
from kbqa_agent.serving.settings import ServeSettings
from kbqa_agent.serving.systems import RANKER, Fleet, Source, System
from kbqa_agent.streaming import Piece, Shortlist
from kbqa_agent.types import Answer, Rating

__all__ = ["Service"]

logger = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")
LOOKUP_THREADS = 2
DAY = 86_400


class Service:
    """One of these serves all users; its methods are for one event loop."""

    def __init__(self, source: Source, settings: ServeSettings, metrics: Metrics, peers: Peers | None = None) -> None:
        self.source, self.settings, self.metrics, self.peers = source, settings, metrics, peers
        self.is_ready = self._is_closed = False
        self.database = ServerDatabase(settings.store)
        self.dialogue_store = DialogueStore(self.database, settings.dialogues_per_user)
        self._disk = DaemonExecutor("kbqa-disk")
        self._lookup_threads = DaemonExecutor("kbqa-look-ups", LOOKUP_THREADS)
        self.dialogues = OpenDialogues(self.dialogue_store, self._disk)
        self.given = GivenAnswers(self.dialogue_store, settings.answers_kept)
        self.comparisons = Comparisons()
        self._batches = LookupBatches(settings.gather_seconds, metrics.batch)
        self._generations = Generations()
        shared = settings.is_shared
        self.questions = Gate("questions", settings.waiting_questions, is_shared=shared)
        self.generations = Gate("questions that need the generator", settings.waiting_generations, 3.0, shared)
        self._ratings = Buckets(settings.feedback_per_day / DAY if shared else 0.0, settings.feedback_per_day)
        self.lookups = Gate("look-ups", settings.waiting_lookups)
        metrics.watch((self.questions, self.generations, self.lookups))
        metrics.watch_rankers(lambda: self.source.now.n_rankers)

    def close(self) -> None:
        """End the threads after what they have begun, and close the files."""
        if self._is_closed:
            return
        self.is_ready, self._is_closed = False, True
        self._batches.close()
        self._generations.close()
        self._lookup_threads.shutdown(wait=True)
        self._disk.shutdown(wait=True)
        self.database.close()
        self.source.close()

    def deadline(self) -> Deadline:
        """The time by which a request that begins now has to be answered."""
        return Deadline(self.settings.request_seconds)

    async def ask(self, asked: Asked, ends: Deadline | None = None) -> Reply:
        """Answer a question; `ends` is the end of a request that began earlier.

        Raises: ServingError, QuestionError, ModelError.
        """
        async with aclosing(self.stream(asked, with_shortlist=False, ends=ends)) as events:
            async for event in events:
                if isinstance(event, Reply):
                    return event
        raise ServingError(500, "no answer came")

    async def stream(
        self, asked: Asked, with_shortlist: bool = True, ends: Deadline | None = None
    ) -> AsyncGenerator[Shortlist | Piece | Reply, None]:
        """Answer a question, and tell what is known earlier. Raises: as `ask`."""
        self._require_open()
        ends = ends or self.deadline()
        async with AsyncExitStack() as stack:
            stack.enter_context(self.questions.inside(asked.user))
            fleet = stack.enter_context(self.source.use())
            system = fleet.system(asked.system)
            question = fleet.base.read(asked.question)
            if self.settings.log_questions:
                logger.info("%s asks %s: %s", asked.user, system.name, question)
            dialogue = asked.context
            if asked.dialogue is not None:
                dialogue = await ends.before(stack.enter_async_context(self.dialogues.lent(asked.dialogue, asked.user)))
            looked = await ends.before(self._look(fleet, system, question, dialogue, with_shortlist))
            if looked.alone.shortlist is not None:
                yield looked.alone.shortlist
            answer, timed_out = looked.alone.answer, False
            if answer is None:
                stack.enter_context(self.generations.inside(asked.user))
                events = await stack.enter_async_context(aclosing(self._generations.stream(fleet, looked)))
                try:
                    while not isinstance(event := await ends.before(anext(events)), Answer):
                        yield event
                    answer = event
                except TooLateError:
                    if system.closed_book:
                        raise
                    answer, timed_out = await self._ranked(fleet, looked), True
            yield await self._reply(asked, system.name, looked, answer, dialogue, timed_out)

    async def _look(
        self, fleet: Fleet, system: System, question: str, dialogue: Dialogue | None, with_shortlist: bool
    ) -> Looked:
        """Rank a question together with those of others, and answer it if that needs no generator."""
        elsewhere = fleet.processes
        if elsewhere is not None and elsewhere.n_alive and not system.closed_book:
            turns = None if dialogue is None else tuple(dialogue.turns)
            found = await asyncio.wrap_future(elsewhere.submit(Task(question, turns, system.way, with_shortlist)))
            if found is not None and found.answer is not None:
                return answered_elsewhere(fleet, system, found)
        return await asyncio.wrap_future(self._batches.submit(fleet, system, question, dialogue, with_shortlist))

    async def _ranked(self, fleet: Fleet, looked: Looked) -> Answer:
        """What the ranker alone answers, which was known before the generator was asked."""
        alone = System(RANKER).over(looked.agent)
        resolved = looked.alone.resolved._replace(answer=None)

        def answered() -> Answer:
            with fleet.in_use():
                return alone.answer_to(resolved)

        return await asyncio.wrap_future(self._lookup_threads.submit(answered))

    async def _reply(
        self, asked: Asked, system: str, looked: Looked, answer: Answer, dialogue: Dialogue | None, timed_out: bool
    ) -> Reply:
        said = looked.agent.read(asked.question)
        answer = looked.agent.remember(said, looked.alone.resolved, answer, dialogue)
        if not asked.kept:
            return Reply(answer, "", system)
        number = self.given.keep(GivenAnswer(asked.user, system, answer))
        self.metrics.answer(system, answer)
        if dialogue is not None and asked.dialogue is not None:
            await self.dialogues.add_last_turn(asked.dialogue, asked.user, dialogue, system, number)
        whole = looked.alone.resolved.question
        return Reply(answer, number, system, asked.dialogue, whole if whole != said else None, timed_out)

    async def give_feedback(
        self, user: str, answer_id: str, rating: Rating, correction: str | None = None, comment: str | None = None
    ) -> int:
        """Keep what a user thinks of an answer of theirs; it is on the disk when this returns.

        Raises: ServingError, FeedbackError, FeedbackFileError, StorageError.
        """
        if wait := self._ratings.wait(user):
            text = f"more than {self.settings.feedback_per_day} pieces of feedback in a day; give the rest later"
            raise ServingError.later(429, text, wait)
        given = await self._find_given(answer_id, user)

        def give(fleet: Fleet) -> int:
            system = fleet.systems.get(given.system) or fleet.system(None)
            number = system.over(fleet.base).give_feedback(given.answer, rating, correction, comment, user)
            self.dialogue_store.rate(answer_id, Rated(number, rating))
            return number

        number = await self.with_fleet(give)
        self.metrics.feedback(rating)
        return number

    async def _find_given(self, answer_id: str, user: str) -> GivenAnswer:
        try:
            return await self.on_disk(self.given.find, answer_id, user)
        except ServingError:
            elsewhere = await self.peers.given_answer(answer_id, user) if self.peers else None
            if elsewhere is None:
                raise
            return elsewhere

    async def find_comparison(self, number: str, user: str) -> Comparison | None:
        """A comparison that was shown a user, None where there is none of this id."""
        here = self.comparisons.find(number, user)
        return here if here or not self.peers else await self.peers.comparison(number, user)

    async def take_back(self, user: str, number: int) -> None:
        """Let a piece of a user's own feedback count no longer. Raises: ServingError, FeedbackError, StorageError."""

        def undo(fleet: Fleet) -> None:
            store = fleet.base.feedback_store
            if store.giver(number) != user:
                raise ServingError(404, f"feedback {number} is none of yours; GET /api/feedback lists it")
            try:
                store.undo(number, user)
            except FeedbackError as error:
                raise ServingError(409, str(error)) from None
            finally:
                self.dialogue_store.take_back(number)

        await self.with_fleet(undo)

    async def with_fleet(self, call: Callable[[Fleet], T]) -> T:
        """Do something short with the index as it is now in a thread, beside the ranker.

        Raises: what it raises, and ServingError.
        """

        def held() -> T:
            with self.source.use() as fleet:  # who asked may be gone before the end
                return call(fleet)

        return await self._bounded(self._lookup_threads, held)

    async def with_kb(self, call: Callable[[KnowledgeBase], T]) -> T:
        """Look something up in the index as it is now. Raises: as `with_fleet`."""
        return await self.with_fleet(lambda fleet: call(fleet.base.kb.pinned()))

    async def on_disk(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do something with the server's own file, one after the other. Raises: what it raises, and ServingError."""
        return await self._bounded(self._disk, call, *args, **kwargs)

    async def _bounded(self, threads: DaemonExecutor, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        self._require_open()
        with self.lookups.inside():
            begun = asyncio.wrap_future(threads.submit(call, *args, **kwargs))
            return await self.deadline().before(begun)

    def _require_open(self) -> None:
        if self._is_closed:
            raise ServingError.later(503, "the server is stopping; try again", 5)

    async def reload_everywhere(self) -> bool:
        """Let all servers of this address answer from what the index folder holds now. Raises: as `reload`."""
        return await (self.peers.reload() if self.peers else self.reload())

    async def reload(self) -> bool:
        """Answer from what the index folder holds now. Raises: as `Source.reload`."""
        changed = await asyncio.to_thread(self.source.reload)
        logger.info("reload %d: the index of %s", self.source.n_reloads, self.source.describe()["index"]["created"])
        return changed
