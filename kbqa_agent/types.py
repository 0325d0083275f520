"""The values that travel through the pipeline of `ask`, and the seams where other implementations go in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from kb_index.types import Entity, Triple

if TYPE_CHECKING:
    from kbqa_agent.explaining import Explanation

__all__ = [
    "Abstention",
    "Answer",
    "Candidate",
    "ConcurrentGenerator",
    "EntityMention",
    "Feedback",
    "Generator",
    "JointGenerator",
    "Proposal",
    "QAExample",
    "Ranker",
    "Rating",
    "StreamingGenerator",
    "Turn",
    "Workers",
]

Rating = Literal["good", "bad", "unknown"]
"""What a person thinks of an answer; "unknown": the knowledge base does not hold the answer."""

Abstention = Literal["no_entity", "no_attribute", "ambiguous", "low_confidence"]


@dataclass(frozen=True, slots=True)
class EntityMention:
    """A stretch `question[start:end]` equal to `text`, and the entities that it may name."""

    text: str
    start: int
    end: int
    entities: tuple[Entity, ...]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A possible answer, its probability of being right, and the triples it rests on (best first).

    Only a correction that people gave may rest on none.
    """

    answer: str
    score: float
    evidence: tuple[Triple, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What `ask` returns.

    `text` is None when the agent abstains, and `abstained` then says why. `supported` is False when no triple says the
    text: it is the generator's own and equals no candidate, or a correction that people gave. `confidence` is a
    probability; `timings` are in milliseconds. `values` are all answers that are meant together, `text` first: the
    objects of one subject and attribute, or all that a reverse question or a chain of facts leads to; () when it
    abstains or nothing supports the text. `partial` is True where shards of the index were missing: what they hold is
    neither among the candidates nor in the confidence.
    """

    question: str
    text: str | None
    confidence: float
    abstained: Abstention | None
    candidates: tuple[Candidate, ...]
    mentions: tuple[EntityMention, ...]
    timings: Mapping[str, float] = field(default_factory=dict)
    supported: bool = True
    values: tuple[str, ...] = ()
    meant: Entity | None = None
    partial: bool = False

    @property
    def told(self) -> Candidate | None:
        """The candidate that is the answer; None where it abstains, or says what no candidate says.

        It is the first one, unless a generator wrote another one's text.
        """
        return next((c for c in self.candidates if c.answer == self.text), None)

    def explain(self) -> Explanation:
        """Tell in a sentence what the answer rests on; `KBQAgent.explain` also tells what decided."""
        from kbqa_agent.explaining import sentence_of

        return sentence_of(self)


@dataclass(frozen=True, slots=True)
class Proposal:
    """The answer to a question that is not about one attribute of one entity.

    `candidates` are the answers, best first, with the path of triples that leads to each; `values` are those that are
    meant together, the first one first.
    """

    candidates: tuple[Candidate, ...]
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a person thinks of an answer to a question.

    `answer` is the text that is judged, None where the agent said nothing. `correction` is what it should have said;
    the rating is "bad" then.
    """

    question: str
    answer: str | None
    rating: Rating
    correction: str | None = None
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """One question of a dialogue, as resolved for retrieval, its answer, and the question as it was asked."""

    question: str
    answer: Answer
    said: str = ""


@dataclass(frozen=True, slots=True)
class QAExample:
    """A question with its gold answers (none if unanswerable) and, where the file has it, its gold triple (s, p, o)."""

    id: str
    question: str
    answers: tuple[str, ...]
    triple: tuple[str, str, str] | None = None


class Ranker(Protocol):
    """Orders the triples of a question's linked entities."""

    def rank(
        self, question: str, mentions: Sequence[EntityMention], triples: Sequence[Triple]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Score each triple as the one that answers the question.

        Returns two arrays of shape (n_triples,): raw scores (higher is better) and calibrated probabilities.
        """


class Generator(Protocol):
    """A language model that weighs and writes answers."""

    name: str

    def score(self, prompt: str, answers: Sequence[str]) -> NDArray[np.float32]:
        """Natural-log likelihood of each answer, summed over its tokens and the end token, (n_answers,)."""

    def generate(
        self, prompts: Sequence[str], max_new_tokens: int = 48, *, among: Sequence[Sequence[str]] | None = None
    ) -> list[str]:
        """Write one answer for each prompt, up to the end token; with `among`, one of the candidates of the prompt."""


@runtime_checkable
class ConcurrentGenerator(Generator, Protocol):
    """A generator that several threads may ask at the same time, and knows how many of them serve it best."""

    def executor(self) -> AbstractContextManager[Executor]:
        """Open threads that may ask it; they end with the context."""


@runtime_checkable
class JointGenerator(ConcurrentGenerator, Protocol):
    """One that judges several prompts together, in less time."""

    def score_many(self, asked: Sequence[tuple[str, Sequence[str]]]) -> list[NDArray[np.float32]]:
        """What `score` gives for each prompt and its answers, up to rounding."""


@runtime_checkable
class StreamingGenerator(Generator, Protocol):
    """A generator that can tell what it writes piece by piece."""

    def stream(self, prompt: str, max_new_tokens: int = 48) -> Iterator[str]:
        """Give what `generate` writes for one prompt, each piece as soon as it is there."""


class Workers(Protocol):
    """Agents elsewhere, each of which answers as the one here."""

    def answers(self, questions: Sequence[str]) -> Iterator[Answer]:
        """Answer the questions, in their order."""
