"""What a plan ended with, checked against the triples that were fetched for it -> an `Answer`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from pydantic import BaseModel, Field

from kb_index.normalize import LIST_MARKS, normalize_name, plain_name
from kb_index.types import Triple
from kbqa_agent.candidates import mentions_of
from kbqa_agent.langchain.shown import shown
from kbqa_agent.types import Abstention, Answer, Candidate

__all__ = ["Fetched", "FinalAnswer", "Planned", "answer_of"]

MAX_EVIDENCE = 5


class FinalAnswer(BaseModel):
    """Give the answer to the question, and end."""

    answers: list[str] = Field(
        default_factory=list,
        description="The answers, each copied from a triple that a tool gave; none if the knowledge base does not say.",
    )
    triple_ids: list[int] = Field(default_factory=list, description="The ids of the triples that the answers rest on.")


class Fetched:
    """The triples that were fetched for a plan, by id, and the ids of those that were looked up by their object."""

    def __init__(self) -> None:
        self.triples: dict[int, Triple] = {}
        self.by_object: set[int] = set()

    def add(self, triples: Sequence[Triple], by_object: bool) -> None:
        """Remember what a look-up shows to the model."""
        self.triples |= {t.id: t for t in triples}
        if by_object:
            self.by_object.update(t.id for t in triples)


@dataclass(frozen=True, slots=True)
class Planned:
    """The final answer (None where a limit came first), the fetched triples, and how long the plan took."""

    final: FinalAnswer | None
    fetched: Fetched
    milliseconds: float


def answer_of(known: Answer, planned: Planned) -> Answer:
    """Turn a plan into an answer to the question that `known` answers without a plan, whose probabilities count."""
    return replace(_answer_of(known, planned), partial=known.partial)


def _answer_of(known: Answer, planned: Planned) -> Answer:
    timings = dict(known.timings) | {"plan": planned.milliseconds}
    if planned.final is None or not planned.final.answers:
        return Answer(known.question, None, 0.0, _reason(planned), (), (), timings)
    scores = {normalize_name(c.answer): c.score for c in known.candidates}
    found: dict[str, Candidate] = {}
    for text in planned.final.answers:
        value, evidence = _backing(text, planned.final, planned.fetched)
        if evidence:
            found.setdefault(value, Candidate(value, scores.get(normalize_name(value), 0.0), evidence))
    candidates = tuple(sorted(found.values(), key=lambda c: -c.score))
    if not candidates:
        return Answer(known.question, planned.final.answers[0], 0.0, None, (), (), timings, supported=False)
    mentions = mentions_of(known.mentions, candidates)
    first = candidates[0]
    values = tuple(candidate.answer for candidate in candidates)
    return Answer(
        known.question, first.answer, min(1.0, first.score), None, candidates, mentions, timings, values=values
    )


def _reason(planned: Planned) -> Abstention:
    if planned.final is None:
        return "low_confidence"
    return "no_attribute" if planned.fetched.triples else "no_entity"


def _backing(text: str, final: FinalAnswer, fetched: Fetched) -> tuple[str, tuple[Triple, ...]]:
    """The value that a text copies, and its evidence: the triples that hold it, and the way there.

    The holding ones are those that the model names or, where they do not hold it, any; the way there are the named ones
    that hold no answer. A subject answers only where the model looked the triple up by its object, and names it: else
    what the question itself is about would be an answer.
    """
    named = [fetched.triples[i] for i in dict.fromkeys(final.triple_ids) if i in fetched.triples]
    reverse = fetched.by_object & set(final.triple_ids)
    for triples in (named, list(fetched.triples.values())):
        holding = [(value, t) for t in triples if (value := _held(text, t, t.id in reverse)) is not None]
        if holding:
            value = holding[0][0]
            way = (t for t in named if all(_held(answer, t, t.id in reverse) is None for answer in final.answers))
            return value, tuple([*(t for v, t in holding if v == value), *way][:MAX_EVIDENCE])
    return text, ()


def _held(text: str, triple: Triple, reverse: bool) -> str | None:
    """The value of a triple that a text copies: its object, one of those that this lists, or in reverse its subject."""
    wanted = normalize_name(text)
    values = _values(triple, reverse)
    return next((value for value, forms in values if wanted and wanted in map(normalize_name, forms)), None)


def _values(triple: Triple, reverse: bool) -> Iterable[tuple[str, tuple[str, ...]]]:
    """The values of a triple, each with the forms in which a model may copy it."""
    yield triple.object, (triple.object, shown(triple.object))
    for part in re.split(LIST_MARKS, triple.object):
        yield part.strip(), (part, shown(part))
    if reverse:
        yield triple.subject, (triple.subject, shown(triple.subject), plain_name(triple.subject))
