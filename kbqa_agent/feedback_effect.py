"""What people's feedback does to the next answer: Bayes' rule over people, with the knowledge base's word as the prior.

The rule, in full:

*One person, one stance.* What a person said last of a question counts, and once: that these answers are right, that
this text is (a correction), that the knowledge base has none (unknown), or only that those shown are wrong (bad).

*The prior* of each answer is its calibrated probability; what is left is that of "none of these". A correction that no
triple states becomes a candidate without evidence. An answer that someone holds right, stated by a triple or not,
begins at least as probable as "none of these", since that is what people who name it speak of, but is lifted no higher
than the knowledge base's first answer if that one is likely enough to be told; and with at least a thousandth of the
first one's probability, so that people can always outvote a ranker.

*A stance is right with the probability .85*, so each multiplies the odds between an answer that agrees with it and one
that does not by .85 / .15 = 5.7. That is what may be expected of people who err in one of seven cases: higher, and one
slip of the hand would overturn what the knowledge base says with 90 %; lower, and a correction would seldom show.

From this follow:

- Votes cancel. An answer takes the place of the knowledge base's first one only if more people speak for it and
  against the first than speak the other way: no minority of those who judge the two can bring that about.
- An answer that has the probability .99 beside another's .005 gives way to 4 people more, one of .5 beside .3 to 1.
- Probabilities stay probabilities, and the same store gives the same answer.

*Similar questions.* Where nobody judged the question itself, what people said of others counts, and weaker: each person
who, on balance, holds an attribute right under a similar wording (`feedback_wordings`) as half a stance for the answers
that rest on it, and all of them together as one stance at most. An answer that is 33 times as probable as any other
stays where it is, whatever people say of other questions.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kb_index.types import Triple
from kbqa_agent.candidates import MAX_EVIDENCE
from kbqa_agent.feedback import FeedbackStore
from kbqa_agent.feedback_memory import FeedbackMemory, Stance
from kbqa_agent.feedback_texts import attribute_behind, by_mention, question_key, text_key
from kbqa_agent.mention_features import mask_mention
from kbqa_agent.several import asks_for_several, fact_of
from kbqa_agent.types import Candidate, EntityMention

__all__ = ["RELIABILITY", "FeedbackEffect", "Heeded", "open_effect", "posterior"]

RELIABILITY = 0.85
"""How probable it is that a stance is right."""
LEAST = 1e-3
"""What the knowledge base holds of a possibility that people bring in, beside its first answer, at least."""
SIMILAR, MOST_SIMILAR = 0.5, 1.0
"""What a person's word on similar questions counts beside a stance, and all people's words together at most."""
IN_REACH = 0.01
"""With less than this share of the first one's probability no answer comes first by what is said of other questions."""
MAX_CORRECTIONS = 10
"""So many texts that no triple has become candidates, those with most people behind them."""


class Heeded(NamedTuple):
    """Candidates with feedback counted, best first, and how probable it is that none of them is right.

    `missing` is None where nobody's feedback concerns the question, and the candidates are as they were. `judged`: it
    was this very question that people judged.
    """

    candidates: list[Candidate]
    missing: float | None = None
    judged: bool = False


def posterior(prior: NDArray[np.float64], votes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities of possibilities that exclude each other, of which `votes` stances agree with each; all (n,).

    >>> posterior(np.array([0.5, 0.3, 0.2]), np.array([0, 1, 0])).round(2).tolist()
    [0.21, 0.71, 0.08]
    """
    weights = prior * (RELIABILITY / (1 - RELIABILITY)) ** (votes - votes.max())
    shares: NDArray[np.float64] = weights / weights.sum()
    return shares


def open_effect(feedback: FeedbackStore | str | Path | None, told_from: float) -> FeedbackEffect | None:
    """The effect of a store, which stays its owner's to close, or of a file; None of none.

    `told_from` is the probability from which the agent tells an answer. Raises: FeedbackFileError, StorageError.
    """
    if feedback is None:
        return None
    if isinstance(feedback, FeedbackStore):
        return FeedbackEffect(feedback, told_from)
    return FeedbackEffect(FeedbackStore(feedback), told_from, owns=True)


class FeedbackEffect:
    """Lets the feedback of a store count; safe between threads.

    `told_from` is the probability from which the agent tells an answer; a store that it `owns` is closed with it.
    """

    def __init__(self, store: FeedbackStore, told_from: float, owns: bool = False) -> None:
        self.store, self.told_from, self._owns = store, told_from, owns
        self._memory = FeedbackMemory(store)
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the store if it is the effect's own."""
        if self._owns:
            self.store.close()

    def heed(
        self,
        question: str,
        found: Sequence[Candidate],
        mentions: Sequence[EntityMention],
        triples: Sequence[Triple],
        meant: Sequence[str] = (),
    ) -> Heeded:
        """Weigh candidates, best first, by what people said; `meant` are answers that are right together.

        `triples` may hold a correction that is no candidate. Raises: FeedbackFileError, StorageError.
        """
        key = question_key(question)
        with self._lock:
            self._memory.refresh()
            if self._memory.is_empty:
                return Heeded(list(found))
            stances = self._memory.stances(key)
            similar = {} if stances else self._similar(question, key, _in_reach(found, meant), mentions)
        if not stances and not similar:
            return Heeded(list(found))
        options = [_Option.of(group, similar) for group in _together(question, found, meant)]
        options += [_Option.of([c], similar) for c in _corrections(stances, found, triples)]
        votes = [_votes(stances, option.keys) + option.similar for option in options]
        shares = posterior(self._prior(options, stances), np.array([*votes, _votes(stances, frozenset())]))
        weighed = [
            c for option, share in zip(options, shares.tolist(), strict=False) for c in option.with_probability(share)
        ]
        return Heeded(sorted(weighed, key=lambda c: -c.score), float(shares[-1]), bool(stances))

    def _similar(
        self, question: str, key: str, found: Sequence[Candidate], mentions: Sequence[EntityMention]
    ) -> dict[str, float]:
        """What people's words on similar questions count for each answer, in stances."""
        asked: dict[str, dict[str, list[str]]] = {}
        for mention, candidates in by_mention(found, mentions):
            answers = asked.setdefault(mask_mention(question, mention), {})
            for candidate in candidates:
                if (attribute := attribute_behind(candidate)) is not None:
                    answers.setdefault(attribute, []).append(candidate.answer)
        counted: dict[str, float] = {}
        for wording, answers in asked.items():
            for attribute, people in self._memory.attributes(wording, answers, besides=key).items():
                vote = float(np.clip(SIMILAR * people, -MOST_SIMILAR, MOST_SIMILAR))
                counted |= dict.fromkeys(answers[attribute], vote)
        return counted

    def _prior(self, options: Sequence[_Option], stances: Counter[Stance]) -> NDArray[np.float64]:
        """The probabilities before anybody spoke, that of "none of these" last, (n_options + 1,)."""
        prior = np.array([option.probability for option in options])
        first, missing = prior.max(initial=0.0), max(0.0, 1.0 - prior.sum())
        wanted = [any(s.right and s.agrees(option.keys) for s in stances) for option in options]
        least = min(missing, first) if first >= self.told_from else missing
        prior[wanted] = np.maximum(prior[wanted], max(least, LEAST * first))
        return np.append(prior, max(missing, LEAST))


@dataclass(frozen=True, slots=True)
class _Option:
    """Candidates that are right together or not at all, and what similar questions count for them, in stances."""

    candidates: tuple[Candidate, ...]
    keys: frozenset[str]
    similar: float

    @classmethod
    def of(cls, candidates: Sequence[Candidate], similar: Mapping[str, float]) -> _Option:
        keys = frozenset(text_key(c.answer) for c in candidates)
        return cls(tuple(candidates), keys, similar.get(candidates[0].answer, 0.0))

    @property
    def probability(self) -> float:
        """What the knowledge base says of it."""
        return min(1.0, max(float(c.score) for c in self.candidates))

    def with_probability(self, probability: float) -> list[Candidate]:
        """The candidates with this probability: the best one's, the others' in proportion."""
        scale = probability / self.probability if self.probability else 0.0
        return [replace(c, score=float(c.score) * scale if scale else float(probability)) for c in self.candidates]


def _in_reach(found: Sequence[Candidate], meant: Sequence[str]) -> list[Candidate]:
    """The values of attributes that similar questions may move."""
    return [c for c in found if c.score >= IN_REACH * found[0].score and c.answer not in meant]


def _votes(stances: Counter[Stance], answers: frozenset[str]) -> int:
    return sum(people for stance, people in stances.items() if stance.agrees(answers))


def _together(question: str, found: Sequence[Candidate], meant: Sequence[str]) -> list[list[Candidate]]:
    """The candidates in groups that are right together: those that are meant, or values of one fact, or each alone."""
    groups: dict[object, list[Candidate]] = {}
    several = not meant and asks_for_several(question)
    for candidate in found:
        alone = fact_of(candidate.evidence[0]) if several and candidate.evidence else candidate.answer
        groups.setdefault("meant" if candidate.answer in meant else (alone,), []).append(candidate)
    return list(groups.values())


def _corrections(stances: Counter[Stance], found: Sequence[Candidate], triples: Sequence[Triple]) -> list[Candidate]:
    """What people hold right and is no candidate, with the triples that say so, if there are any."""
    known = {text_key(c.answer) for c in found}
    texts: dict[str, str] = {}
    people: Counter[str] = Counter()
    for stance, n in stances.items():
        for text in stance.right or ():
            if (key := text_key(text)) not in known:
                texts.setdefault(key, text)
                people[key] += n
    brought_in = []
    for key, _ in people.most_common(MAX_CORRECTIONS):
        evidence = tuple(t for t in triples if text_key(t.object) == key)[:MAX_EVIDENCE]
        brought_in.append(Candidate(evidence[0].object if evidence else texts[key], 0.0, evidence))
    return brought_in
