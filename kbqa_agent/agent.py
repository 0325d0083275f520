"""The pipeline of `ask`, top to bottom: link, retrieve, rank, tell the kind, weigh with the generator, decide."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from kb_index.errors import FeedbackError, InputError, ModelError, QuestionError
from kb_index.knowledge_base import KnowledgeBase
from kb_index.types import Triple
from kbqa_agent.asynchronous import AsyncTwins
from kbqa_agent.candidates import best_triples, candidates_of, decide, mentions_of, written
from kbqa_agent.config import AgentConfig
from kbqa_agent.consulting import Consulting, is_consulted
from kbqa_agent.dialogue import Dialogue
from kbqa_agent.directions import Found, propose
from kbqa_agent.feedback import FeedbackStore
from kbqa_agent.feedback_effect import FeedbackEffect, Heeded, open_effect
from kbqa_agent.feedback_records import shown_of
from kbqa_agent.feedback_texts import told_apart
from kbqa_agent.follow_ups import Reading
from kbqa_agent.prompts import UNKNOWN, answer_prompt
from kbqa_agent.question_text import check_question, read_question, shown
from kbqa_agent.ranked import Clock, Ranked, rank_many
from kbqa_agent.rankers import open_ranker
from kbqa_agent.ranking import LIKELIHOOD_WEIGHT, TrainedRanker
from kbqa_agent.several import asks_for_several, gathered, values_of
from kbqa_agent.silence import asking_back, likelihood
from kbqa_agent.types import (
    Abstention,
    Answer,
    Candidate,
    Feedback,
    Generator,
    Proposal,
    Ranker,
    Rating,
    Turn,
    Workers,
)

if TYPE_CHECKING:
    from kbqa_agent.explaining import Explanation
    from kbqa_agent.streaming import Event

__all__ = ["KBQAgent", "Resolved"]

MAX_HOPS = 2
"""How many facts of a chain may come before the one that is asked for."""


class Resolved(NamedTuple):
    """The whole question that is meant, what was ranked for it (None: the book is closed), and its answer, if known."""

    question: str
    ranked: Ranked | None
    answer: Answer | None = None


class KBQAgent(AsyncTwins):
    """Answers questions from one open knowledge base; safe to share between threads."""

    def __init__(
        self,
        kb: KnowledgeBase,
        ranker: Ranker,
        generator: Generator | None = None,
        config: AgentConfig | None = None,
        likelihood_weight: float = LIKELIHOOD_WEIGHT,
    ) -> None:
        self.kb, self.ranker, self.generator = kb, ranker, generator
        self.config = config or AgentConfig()
        self.likelihood_weight = likelihood_weight
        self._consulting = Consulting()
        self._feedback: FeedbackEffect | None = None
        self.workers: Workers | None = None
        """Who answers what `ask_many` is asked, in place of processes; stays its owner's to close."""

    @classmethod
    def open(
        cls,
        index: str | Path | KnowledgeBase,
        model: str | Path | Generator | None = None,
        adapter: str | Path | None = None,
        config: AgentConfig | None = None,
        feedback: FeedbackStore | str | Path | None = None,
        ranker: Ranker | str | Path | None = None,
    ) -> KBQAgent:
        """Open an index folder with a ranker, a generator, and people's feedback.

        A knowledge base that is open already is closed with the agent.

        `model` is a Hugging Face name, a folder, a GGUF file, a model behind a server as `openai:URL#NAME`, or a
        generator; None is the embedded one, or no generator where the packages for it are not installed; "none" is no
        generator. `feedback` is as in `use_feedback`. `ranker` is a folder, "lexical" (a baseline without training) or
        a ranker; None is the index's own, or the shipped one.

        Raises: InputError, IndexFolderError, ModelError, MissingExtraError, FeedbackFileError, StorageError.
        """
        from kbqa_agent.generation import open_generator
        from kbqa_agent.gguf_cache import embedded_is_installed

        config = config or AgentConfig()
        if config.closed_book and (model == "none" or config.generator == "never"):
            raise ModelError("closed-book answers need a generator, and none is to be used; name one with --model")
        if model == "none" and adapter not in (None, "none"):
            raise ModelError(f"adapter {str(adapter)!r} without a model to put it on; leave it out, or --model none")
        if not isinstance(index, (str, Path, KnowledgeBase)):
            raise InputError(f"index {index!r}: expected the path of an index folder")
        kb = index if isinstance(index, KnowledgeBase) else KnowledgeBase.open(index, partial=config.partial)
        try:
            ranks = open_ranker(kb, ranker)
            wanted = model != "none" and config.generator != "never" and (model is not None or embedded_is_installed())
            generator = open_generator(model, adapter) if wanted else None
            weight = LIKELIHOOD_WEIGHT
            if isinstance(ranks, TrainedRanker):
                ranks, weight = ranks.expecting(config.answerable_share), ranks.calibration.likelihood_weight
                config = config.for_risk(ranks.threshold)
            elif config.max_risk is not None:
                raise InputError(f"max_risk={config.max_risk}: only a trained ranker knows the risk of a confidence")
            agent = cls(kb, ranks, generator, config, weight)
            agent.use_feedback(feedback)
        except BaseException:
            kb.close()
            raise
        return agent

    @property
    def expected_share(self) -> float | None:
        """The share of answerable questions that the confidences hold for; None where the ranker knows of none."""
        return self.ranker.expected_share if isinstance(self.ranker, TrainedRanker) else None

    def close(self) -> None:
        """Close the knowledge base, and the feedback if the agent opened it."""
        self.use_feedback(None)
        self.kb.close()

    def use_feedback(self, feedback: FeedbackStore | str | Path | None) -> None:
        """From now on keep feedback in this store, or file, and let it count; None: neither.

        A file is made where there is none. A store stays its owner's to close, and may serve several agents. A file
        that was kept until now is closed: change it while no question is under way.

        Raises: FeedbackFileError, StorageError.
        """
        before, self._feedback = self._feedback, open_effect(feedback, self.config.min_confidence)
        if before is not None:
            before.close()

    def ask(self, question: str, dialogue: Dialogue | None = None) -> Answer:
        """Answer a question; with a dialogue, read it as a follow-up where that makes more sense, and remember it.

        Raises: QuestionError when the question is empty, too long or no text.
        """
        question, now = self.read(question), self.as_of_now()
        resolved = now.resolve(question, dialogue)
        return now.remember(question, resolved, now.answer_to(resolved), dialogue)

    def ask_many(self, questions: Iterable[str], processes: int | None = None) -> Iterator[Answer]:
        """Answer many questions, in their order, each as `ask` would; give each answer as soon as it is there.

        They are linked, retrieved and ranked together, in several processes where there are many (`processes`; None:
        one for each processor from some hundred questions on), and the generator judges some while others are ranked.
        What is asked twice is answered once. All see the index as it is now. With `workers`, these answer.

        Raises: QuestionError, before any is asked, when one of them is empty, too long or no text; InputError when
        `processes` is less than one.
        """
        from kbqa_agent.batching import answers_to

        if isinstance(questions, str):
            raise QuestionError(f"ask_many got one text, {shown(questions)}; give a list of questions, or use ask")
        if processes is not None and processes < 1:
            raise InputError(f"processes={processes}: expected at least 1, or None to leave it to the agent")
        wanted = [self.read(question) for question in questions]
        return answers_to(self.as_of_now(), wanted, processes)

    def stream(self, question: str, dialogue: Dialogue | None = None) -> Iterator[Event]:
        """Answer a question, and tell what is known earlier: a `Shortlist`, then `Piece`s of text, then the `Answer`.

        Raises: QuestionError as `ask`, at once.
        """
        from kbqa_agent.streaming import stream

        return stream(self, self.read(question), dialogue)

    def explain(self, answer: Answer) -> Explanation:
        """Tell what an answer of this agent rests on, and what put its first candidate before the second.

        The question is ranked again for that; the sentence alone is `answer.explain()`.
        """
        from kbqa_agent.explaining import explain

        return explain(self.as_of_now(), answer)

    def give_feedback(
        self,
        answer: Answer,
        rating: Rating,
        correction: str | None = None,
        comment: str | None = None,
        user: str = "local",
    ) -> int:
        """Keep what a person thinks of an answer, and give its number; it counts from the next question on.

        A correction goes with the rating "bad"; "unknown" says that the knowledge base does not hold the answer.

        Raises: FeedbackError when the agent has no store, or the feedback cannot be taken; FeedbackFileError,
        StorageError.
        """
        store, now = self.feedback_store, self.as_of_now()
        prompt = now.prompt(answer.question, now.rank_again(answer))
        question = told_apart(answer.question, answer.meant)
        given = Feedback(question, answer.text, rating, correction, comment)
        return store.add(given, shown_of(answer, prompt, self.generator, now.kb.manifest), user)

    @property
    def keeps_feedback(self) -> bool:
        """Whether feedback can be given."""
        return self._feedback is not None

    def take_back(self, number: int, user: str = "local") -> None:
        """Let the feedback of this number count no longer; the record of it stays.

        Raises: FeedbackError when there is none, or it was undone before, or the agent keeps none; FeedbackFileError.
        """
        self.feedback_store.undo(number, user)

    @property
    def feedback_store(self) -> FeedbackStore:
        """Where feedback is kept. Raises: FeedbackError when the agent keeps none."""
        if self._feedback is None:
            raise FeedbackError("this agent keeps no feedback; open it with feedback=FILE")
        return self._feedback.store

    def best_triples(self, question: str, n: int) -> list[Triple]:
        """The `n` triples that most probably answer a question, those of one subject together."""
        ranked = self.as_of_now().rank_many([question])[0]
        return best_triples(ranked.triples, ranked.probabilities, n)

    def likelihoods(self, question: str) -> tuple[list[Candidate], NDArray[np.float64]]:
        """The ranker's first candidates, and the generator's log-likelihood of each per character, (n,).

        Raises: ModelError when there is no generator; as `Consulting.likelihoods`.
        """
        if self.generator is None:
            raise ModelError("likelihoods need a generator, and there is none; name one with --model")
        ranked = self.as_of_now().rank_many([question])[0]
        found = candidates_of(ranked.triples, ranked.probabilities, self.config.scored_candidates)
        return found, self._consulting.likelihoods(self.generator, self.prompt(question, ranked), found)

    def resolve(self, question: str, dialogue: Dialogue | None = None) -> Resolved:
        """The whole question that is meant in a dialogue: worded plainly, and answered most probably by the ranker.

        Without a dialogue it is the question as it stands.
        """
        return self.resolve_many([(question, dialogue)])[0]

    def resolve_many(self, asked: Sequence[tuple[str, Dialogue | None]]) -> list[Resolved]:
        """Do what `resolve` does for the questions of several dialogues, and rank all that they may mean together."""
        readings = [
            dialogue.readings(self.kb, question) if dialogue is not None else [Reading(question, 1.0)]
            for question, dialogue in asked
        ]
        if self.config.closed_book:
            return [Resolved(max(of, key=lambda r: r.weight).question, None) for of in readings]
        every = list(chain.from_iterable(readings))
        ranked = iter(self.rank_many([r.question for r in every], [r.entity_id for r in every]))
        return [self._chosen(of, list(islice(ranked, len(of)))) for of in readings]

    def _chosen(self, readings: Sequence[Reading], ranked: Sequence[Ranked]) -> Resolved:
        """The reading that is worded plainly and answered most probably by the ranker."""
        if len(readings) == 1:
            return Resolved(readings[0].question, ranked[0])
        alone = copy(self)
        alone.generator = None
        answers = [alone.decide(r.question, found) for r, found in zip(readings, ranked, strict=True)]
        best = int(np.argmax([r.weight * likelihood(answer) for r, answer in zip(readings, answers, strict=True)]))
        return Resolved(readings[best].question, ranked[best], None if self.generator else answers[best])

    def answer_to(self, resolved: Resolved) -> Answer:
        """Answer a question that was resolved."""
        if resolved.ranked is None:
            return self._closed_book(resolved.question)
        return resolved.answer or self.decide(resolved.question, resolved.ranked)

    def remember(self, said: str, resolved: Resolved, answer: Answer, dialogue: Dialogue | None) -> Answer:
        """Add a turn to a dialogue, if there is one; there the agent asks back where homonyms leave an answer open."""
        if dialogue is None:
            return answer
        answer = asking_back(answer, self.config.ask_back_below)
        dialogue.add(Turn(resolved.question, answer, said))
        return answer

    def _answer(self, question: str, hops_left: int = MAX_HOPS) -> Answer:
        """Run the pipeline for a question that stands for itself."""
        now = self.as_of_now()
        return now.decide(question, now.rank_many([question])[0], hops_left)

    def rank_many(self, questions: Sequence[str], meant: Sequence[int | None] | None = None) -> list[Ranked]:
        """The first half of the pipeline: link, retrieve and rank, for several questions together.

        `meant` holds for each the id of the entity that its name means, None where that is open.
        """
        return rank_many(self.kb, self.ranker, questions, meant)

    def rank_again(self, answer: Answer) -> Ranked:
        """What is ranked for the question of an answer, about the entity that its name was taken to mean."""
        return self.rank_many([answer.question], [answer.meant.id if answer.meant else None])[0]

    def decide(self, question: str, ranked: Ranked, hops_left: int = MAX_HOPS) -> Answer:
        """The second half of the pipeline: from the ranked triples of a question to its answer."""
        answer = self._decided(question, ranked, hops_left)
        # A shard that is missing stays so, and none came back while the question was answered.
        return replace(answer, partial=True) if self.kb.missing_shards else answer

    def _decided(self, question: str, ranked: Ranked, hops_left: int) -> Answer:
        clock = Clock(ranked.timings)
        found = self._with_extra(candidates_of(ranked.triples, ranked.probabilities, self.config.max_candidates))
        proposal = self._other_kind(question, ranked, found, hops_left)
        clock.lap("kind")
        if proposal is not None:
            return self._proposed(question, ranked, proposal, found, clock)
        text: str | None = None
        if self.generator is not None and found and is_consulted(found, self.config):
            prompt = self.prompt(question, ranked)
            found = self._consulting.judged(self.generator, prompt, found, self.config, self.likelihood_weight)
            clock.lap("score")
            if self.config.free_text:
                text = self._consulting.written(self.generator, prompt, found, self.config)
                clock.lap("generate")
        if asks_for_several(question):
            found = gathered(found)
        found, missing, judged = self._heeded(question, found, ranked)
        presence = ranked.presence.with_missing(missing) if ranked.presence and missing is not None else ranked.presence
        mentions = mentions_of(ranked.mentions, found)
        if text is not None and not judged:  # what people say of this very question goes before the generator's words
            answer = written(question, found, mentions, text, self.config.min_confidence, clock.laps)
        else:
            answer = decide(question, found, mentions, self.config.min_confidence, clock.laps, presence)
        return replace(answer, values=values_of(answer.text, found, ranked.triples), meant=ranked.meant)

    def _other_kind(self, question: str, ranked: Ranked, found: Sequence[Candidate], hops_left: int) -> Proposal | None:
        """Answer a question that is not about one attribute; a chain asks again, about the entity it has come to."""
        one_hop = Found(ranked.mentions, ranked.triples, found)
        return propose(
            self.kb, question, one_hop, (lambda q: self._answer(q, hops_left=hops_left - 1)) if hops_left else None
        )

    def _proposed(
        self, question: str, ranked: Ranked, proposal: Proposal, one_hop: Sequence[Candidate], clock: Clock
    ) -> Answer:
        """The answer of another kind; the one-hop candidates come after it, and share what confidence it leaves."""
        left = 1 - proposal.candidates[0].score
        first = self._with_extra(proposal.candidates)
        said = {c.answer for c in first}
        rest = [Candidate(c.answer, c.score * left, c.evidence) for c in one_hop if c.answer not in said]
        found = [*first, *rest][: self.config.max_candidates]
        found = self._heeded(question, found, ranked, proposal.values).candidates
        mentions = mentions_of(ranked.mentions, found)
        answer = decide(question, found, mentions, self.config.min_confidence, clock.laps)
        meant = answer.text in proposal.values
        values = proposal.values if meant else values_of(answer.text, found, ranked.triples)
        return replace(answer, values=values, meant=ranked.meant)

    def _heeded(self, question: str, found: list[Candidate], ranked: Ranked, meant: Sequence[str] = ()) -> Heeded:
        """Let people's feedback count; `meant` are answers that are right together."""
        if self._feedback is None:
            return Heeded(found)
        asked = told_apart(question, ranked.meant)
        heeded = self._feedback.heed(asked, found, ranked.mentions, ranked.triples, meant)
        return heeded._replace(candidates=self._with_extra(heeded.candidates[: self.config.max_candidates]))

    def as_of_now(self) -> Self:
        """The same agent over the state that the index has now: a question sees one state, whoever reopens it."""
        now = copy(self)
        now.kb = self.kb.pinned()
        return now

    def without_feedback(self) -> Self:
        """The same agent as if nobody had given feedback."""
        alone = copy(self)
        alone._feedback = None
        return alone

    def _with_extra(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Fetch the extra columns (source, date, ...) of the evidence of all candidates with one look-up."""
        triples = self.kb.with_extra(t for c in candidates for t in c.evidence)
        filled = {t.id: t for t in triples if t.extra}
        if not filled:
            return list(candidates)
        return [Candidate(c.answer, c.score, tuple(filled.get(t.id, t) for t in c.evidence)) for c in candidates]

    def prompt(self, question: str, ranked: Ranked) -> str:
        """The prompt that the generator gets: the question under the best of its triples."""
        best = best_triples(ranked.triples, ranked.probabilities, self.config.prompt_triples)
        return answer_prompt(question, best)

    def read(self, question: str) -> str:
        """Give a question as it is asked: its control characters are blanks. Raises: QuestionError as `check`."""
        return read_question(question, self.config.max_question_chars)

    def check(self, question: str) -> None:
        """Find out whether a question can be asked.

        Raises: QuestionError when it is empty, too long or no text.
        """
        check_question(question, self.config.max_question_chars)

    def _closed_book(self, question: str) -> Answer:
        clock = Clock()
        if self.generator is None:
            raise ModelError("closed-book answers need a generator, and there is none; run: pip install 'kbqa[models]'")
        text = self._consulting.closed_book(self.generator, question)
        clock.lap("generate")
        known = bool(text) and text != UNKNOWN
        reason: Abstention | None = None if known else "low_confidence"
        return Answer(question, text if known else None, 0.0, reason, (), (), clock.laps, supported=False)
