"""Why an answer is the answer: a sentence with its triples, and what told the first two candidates apart.

The sentence (`sentences.py`) needs nothing but the answer. What decided is asked of the ranker again: of each tree's
paths, how much a feature moved the score of one candidate's triple more than the other's (the trees' own contributions,
whose sum is the score). Features are put together by what they mean to people.

Reference: Lundberg, Erion and Lee 2018, "Consistent Individualized Feature Attribution for Tree Ensembles",
arXiv:1802.03888.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from kb_index.types import Triple
from kbqa_agent.features import Asked
from kbqa_agent.ranked import Ranked
from kbqa_agent.ranking import TrainedRanker
from kbqa_agent.sentences import Words, in_language_of, sentence
from kbqa_agent.types import Answer, Candidate

if TYPE_CHECKING:
    from kbqa_agent.agent import KBQAgent

__all__ = ["Decider", "Explanation", "Reason", "explain", "sentence_of"]

Decider = Literal["ranker", "generator", "kind", "feedback"]
"""What put the first candidate before the second: the ranker, the generator after it, the kind of the question, or what
people said of answers."""

MAX_REASONS = 4
SMALLEST, SMALLEST_SHARE = 0.05, 0.05
"""A reason of less weight, or with a smaller share of all that moved the scores apart, is not told."""
SHOWN_FEATURES = 3
_RELATIVE = re.compile("_off_(best|mention|entity)$")


_MEANINGS: dict[Words, tuple[str, ...]] = {
    Words("名字在问题中的位置和前后的字", "where the name stands in the question, and what stands around it"): (
        "chars", "share", "quoted", "inside_longer", "at_start", "at_end", "cuts_word", "rarity_before", "rarity_after",
        "rarity_around", "seam_before", "seam_after",
    ),
    Words("名字是否像普通的词", "whether the name is also a common word"): (
        "name_surprise", "name_rarity", "commonest_run", "n_entities",
    ),
    Words("关于该实体有多少知识", "how much is known of the entity"): ("n_triples", "n_attributes"),
    Words("实体的名字与问题所说是否一致", "whether the entity is called as the question calls it"): (
        "full_name", "plain_name", "name_overlap",
    ),
    Words("实体的说明和内容是否符合问题", "whether the entity's description and values fit the question"): (
        "description_overlap", "description_said", "described", "unheard_of",
    ),
    Words("属性名与问题用词是否相符", "whether the attribute's name is in the question's words"): (
        "verbatim", "attribute_chars", "common_run", "char_recall", "char_precision", "distance", "left_surprise",
        "unasked_surprise",
    ),
    Words("人们通常怎样问这个属性", "how people ask for this attribute"): ("gain_sum", "gain_max", "gain_whole"),
    Words("该属性是否常见、常被问到", "how common the attribute is, and how often it is asked for"): (
        "frequency", "asked",
    ),
    Words("值的形式是否是所问的", "whether the value looks like what is asked for"): (
        "object_chars", "object_shape", "question_asks", "object_gain", "object_gain_max",
    ),
    Words("值是否已在问题中", "whether the value is in the question already"): (
        "object_in_question", "object_is_name", "object_said", "left_undescribed",
    ),
    Words("该属性有几个值", "how many values the attribute has"): ("n_values",),
    Words("属性与问题的意思是否相近", "how near the attribute and the question are in meaning"): (
        "similarity", "learnt_similarity",
    ),
}  # fmt: skip
MEANING = {feature: words for words, features in _MEANINGS.items() for feature in features}
"""Each feature of the ranker, without what it is compared with -> what it means to people."""

_DECIDED: dict[Decider, Words] = {
    "ranker": Words("它排在前面，主要因为（排序模型的分数）：", "What put it first, in points of the ranker's score:"),
    "generator": Words(
        "排序模型本来更看好后者，生成模型改变了次序。", "The generator turned the ranker's order of the two."
    ),
    "kind": Words(
        "问题是另一类，答案由所列的三元组推出。", "A question of another kind; the triples lead to the answer."
    ),
    "feedback": Words("它排在前面，是因为人们的反馈。", "People's feedback put it first."),
}


@dataclass(frozen=True, slots=True)
class Reason:
    """What several features of one meaning did together: `weight` points of the score for the first candidate.

    A negative weight spoke for the second one. Scores are the ranker's raw ones.
    """

    text: str
    weight: float
    features: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """A sentence and the triples that it rests on; and, where the ranker was asked again, what decided.

    `decided_by` is None where there are no two candidates or nobody looked; `reasons`, the weightiest first, are of the
    ranker's decisions only.
    """

    question: str
    sentence: str
    evidence: tuple[Triple, ...]
    decided_by: Decider | None = None
    reasons: tuple[Reason, ...] = ()

    def __str__(self) -> str:
        if self.decided_by is None:
            return self.sentence
        told = [
            f"  {reason.weight:+.1f}  {reason.text}  [{', '.join(reason.features[:SHOWN_FEATURES])}]"
            for reason in self.reasons
        ]
        return "\n".join([self.sentence, in_language_of(self.question, _DECIDED[self.decided_by]), *told])


def sentence_of(answer: Answer) -> Explanation:
    """Explain an answer by what it holds: its triples, and the candidate that comes next."""
    first, rival = _compared(answer)
    evidence = first.evidence if first is not None and answer.supported else ()
    return Explanation(answer.question, sentence(answer, first, rival), evidence)


def _compared(answer: Answer) -> tuple[Candidate | None, Candidate | None]:
    """The candidate that is told, or is nearest where none is, and the best that is not meant together with it."""
    first = answer.told if answer.text is not None else next(iter(answer.candidates), None)
    return first, next((c for c in answer.candidates if c is not first and c.answer not in answer.values), None)


def explain(agent: KBQAgent, answer: Answer) -> Explanation:
    """Explain an answer, and rank its question again to see what decided between the first two candidates."""
    found, (told, rival) = sentence_of(answer), _compared(answer)
    if told is None or rival is None or agent.config.closed_book:
        return found
    if told is not answer.candidates[0]:
        return replace(found, decided_by="generator")
    decided_by, reasons = _decided(agent, answer, (told, rival))
    return replace(found, decided_by=decided_by, reasons=reasons)


def _decided(
    agent: KBQAgent, answer: Answer, pair: tuple[Candidate, Candidate]
) -> tuple[Decider | None, tuple[Reason, ...]]:
    """What put the first of two candidates before the other, and the ranker's reasons where it did."""
    ranked = agent.rank_again(answer)
    turned = agent.keeps_feedback and _first(agent.without_feedback().decide(answer.question, ranked)) != pair[0].answer
    if turned or not pair[1].evidence:
        return "feedback" if turned else None, ()
    at = {triple.id: i for i, triple in enumerate(ranked.triples)}
    if any(not c.evidence or c.evidence[0].id not in at or c.answer != c.evidence[0].object for c in pair):
        return "kind", ()
    first, second = (_probability(ranked, c) for c in pair)
    if first < second:
        return "generator" if "score" in answer.timings else None, ()
    if not isinstance(agent.ranker, TrainedRanker):
        return "ranker", ()
    asked = Asked(answer.question, ranked.mentions, ranked.triples)
    return "ranker", _reasons(agent.ranker, asked, [at[c.evidence[0].id] for c in pair])


def _first(answer: Answer) -> str | None:
    return answer.candidates[0].answer if answer.candidates else None


def _probability(ranked: Ranked, candidate: Candidate) -> float:
    """What the ranker gives all triples that say so."""
    of = [p for t, p in zip(ranked.triples, ranked.probabilities, strict=True) if t.object == candidate.answer]
    return float(np.sum(of))


def _reasons(ranker: TrainedRanker, asked: Asked, pair: Sequence[int]) -> tuple[Reason, ...]:
    first, second = ranker.contributions(asked, pair)
    moved: dict[Words, dict[str, float]] = {}
    for feature, weight in zip(ranker.features, (first - second).tolist(), strict=True):
        moved.setdefault(MEANING[_RELATIVE.sub("", feature)], {})[feature] = weight
    reasons = [
        Reason(in_language_of(asked.question, words), sum(of.values()), tuple(sorted(of, key=lambda f: -abs(of[f]))))
        for words, of in moved.items()
    ]
    least = max(SMALLEST, SMALLEST_SHARE * sum(abs(reason.weight) for reason in reasons))
    kept = sorted(reasons, key=lambda reason: -abs(reason.weight))[:MAX_REASONS]
    return tuple(reason for reason in kept if abs(reason.weight) >= least)
