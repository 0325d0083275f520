"""A store's feedback in memory, as it counts: one stance for each person and question, and lessons on attributes.

It reads nothing but what came into the store since the last look, so a question waits for new feedback only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import reduce

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
    return reduce(stance_after, judgements, Stance(None))


def stance_after(stance: Stance, judgement: Judgement) -> Stance:
    """What a person holds who had this stance and says this."""
    told = frozenset(map(text_key, judgement.values))
    if judgement.rating == "good":
        return Stance(judgement.values, stance.wrong - told)
    if judgement.correction is not None:
        return Stance((judgement.correction,), (stance.wrong | told) - {text_key(judgement.correction)})
    if judgement.rating == "unknown":
        return Stance((), stance.wrong | told)
    return Stance(None if told & stance.keys else stance.right, stance.wrong | told)


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
        for judgement in changes.judgements:
            self._put(judgement)
        for question, user in dict.fromkeys(self._take(number) for number in changes.undone):
            self._count_again(question, user)
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

    def _put(self, judgement: Judgement) -> None:
        """Count the latest word of a person, in a time that does not grow with what they said before."""
        question, user = question_key(judgement.question), judgement.user
        self._about[judgement.id] = judgement
        self._said.setdefault(question, {}).setdefault(user, {})[judgement.id] = judgement
        stances = self._stances.setdefault(question, {})
        self._hold(question, user, stance_after(stances.get(user, Stance(None)), judgement), judgement)

    def _take(self, number: int) -> tuple[str, str]:
        judgement = self._about.pop(number)
        question = question_key(judgement.question)
        del self._said[question][judgement.user][number]
        return question, judgement.user

    def _count_again(self, question: str, user: str) -> None:
        """Count all that a person said and did not take back."""
        said: Sequence[Judgement] = list(self._said[question][user].values())
        self._hold(question, user, stance_of(said) if said else None, said[-1] if said else None)

    def _hold(self, question: str, user: str, stance: Stance | None, last: Judgement | None) -> None:
        stances = self._stances[question]
        stances.pop(user, None)
        if stance is not None:
            stances[user] = stance
        self._attributes.put(user, question, lessons_of(last) if last is not None else [])
        self._tallies.pop(question, None)
