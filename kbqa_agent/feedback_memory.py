"""A store's feedback in memory, as it counts: one stance for each person and question, and lessons on attributes.

It reads nothing but what came into the store since the last look, so a question waits for new feedback only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from kbqa_agent.feedback import FeedbackStore
from kbqa_agent.feedback_records import Judgement
from kbqa_agent.feedback_texts import question_key, text_key
from kbqa_agent.feedback_wordings import AttributeVotes, Lesson

__all__ = ["FeedbackMemory", "Stance", "lessons_of", "stance_of"]


@dataclass(frozen=True, slots=True)
class Stance:
    """What one person holds of a question: which answers are right, or, where `right` is None, only which are wrong.

    `right` are texts as they were given, () where the person says that the knowledge base has no answer; `wrong` are
    in the form of `text_key`.
    """

    right: tuple[str, ...] | None
    wrong: frozenset[str] = frozenset()

    @property
    def keys(self) -> frozenset[str]:
        """The answers that are held right, in the form of `text_key`."""
        return frozenset(map(text_key, self.right or ()))

    def agrees(self, answers: Collection[str]) -> bool:
        """Whether these answers, in the form of `text_key` and right together, may be right; none: there is no answer.

        >>> Stance(("惠能",)).agrees({"惠能"}), Stance((), frozenset({"惠能"})).agrees({"惠能"}), Stance(()).agrees([])
        (True, False, True)
        """
        if self.right is not None:
            keys = self.keys
            return any(answer in keys for answer in answers) or not (keys or answers)
        return not any(answer in self.wrong for answer in answers)


def stance_of(judgements: Iterable[Judgement]) -> Stance:
    """What a person holds in the end who said all this of one question, in that order: the latest word counts."""
    right: tuple[str, ...] | None = None
    wrong: set[str] = set()
    for judgement in judgements:
        told = set(map(text_key, judgement.values))
        if judgement.rating == "good":
            right, wrong = judgement.values, wrong - told
        elif judgement.correction is not None:
            right, wrong = (judgement.correction,), (wrong | told) - {text_key(judgement.correction)}
        elif judgement.rating == "unknown":
            right, wrong = (), wrong | told
        else:
            right = None if told & set(map(text_key, right or ())) else right
            wrong |= told
    return Stance(right, frozenset(wrong))


def lessons_of(judgement: Judgement) -> list[Lesson]:
    """What a judgement says of attributes, for similar questions.

    A correction to another value of the same attribute, or to a text that no triple has, says nothing of attributes.
    """
    wording, attribute, corrected = judgement.wording, judgement.attribute, judgement.corrected_attribute
    if wording is None or judgement.rating == "unknown":
        return []
    if judgement.rating == "good":
        return [Lesson(wording, attribute, 1)] if attribute else []
    if judgement.correction is None:
        return [Lesson(wording, attribute, -1)] if attribute else []
    if corrected is None or corrected == attribute:
        return []
    return [Lesson(wording, corrected, 1), *([Lesson(wording, attribute, -1)] if attribute else [])]


class FeedbackMemory:
    """What counts of a store; not safe between threads."""

    def __init__(self, store: FeedbackStore) -> None:
        self._store = store
        self._version: tuple[int, int] | None = None
        self._last_judgement = self._last_undoing = 0
        self._about: dict[int, Judgement] = {}
        self._said: dict[str, dict[str, dict[int, Judgement]]] = {}
        self._stances: dict[str, dict[str, Stance]] = {}
        self._tallies: dict[str, Counter[Stance]] = {}
        self._attributes = AttributeVotes()

    @property
    def is_empty(self) -> bool:
        """Whether nothing counts."""
        return not self._about

    def refresh(self) -> None:
        """Take in what came into the store. Raises: FeedbackFileError, StorageError."""
        version = self._store.version()
        if version == self._version:
            return
        changes = self._store.changes_after(self._last_judgement, self._last_undoing)
        self._version = version
        touched: dict[tuple[str, str], None] = {}
        for judgement in changes.judgements:
            touched[self._put(judgement)] = None
        for number in changes.undone:
            touched[self._take(number)] = None
        for question, user in touched:
            self._count(question, user)
        self._last_judgement = changes.judgements[-1].id if changes.judgements else self._last_judgement
        self._last_undoing = changes.last_undoing

    def stances(self, question: str) -> Counter[Stance]:
        """How many people hold which stance on a question, told by its `question_key`."""
        if question not in self._stances:
            return Counter()  # most questions: what is kept must not grow with them
        if question not in self._tallies:
            self._tallies[question] = Counter(self._stances[question].values())
        return self._tallies[question]

    def attributes(self, wording: str, attributes: Collection[str], besides: str) -> dict[str, float]:
        """As `AttributeVotes.count`."""
        return self._attributes.count(wording, attributes, besides)

    def _put(self, judgement: Judgement) -> tuple[str, str]:
        question = question_key(judgement.question)
        self._about[judgement.id] = judgement
        self._said.setdefault(question, {}).setdefault(judgement.user, {})[judgement.id] = judgement
        return question, judgement.user

    def _take(self, number: int) -> tuple[str, str]:
        judgement = self._about.pop(number)
        question = question_key(judgement.question)
        del self._said[question][judgement.user][number]
        return question, judgement.user

    def _count(self, question: str, user: str) -> None:
        said: Sequence[Judgement] = list(self._said[question][user].values())
        stances = self._stances.setdefault(question, {})
        stances.pop(user, None)
        if said:
            stances[user] = stance_of(said)
        self._attributes.put(user, question, lessons_of(said[-1]) if said else [])
        self._tallies.pop(question, None)
