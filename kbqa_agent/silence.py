"""Why an answer is withheld, and which entities a question may have meant.

Below the confidence that the user's tolerated error rate asks for, nothing is said but the likeliest reason: the entity
is not there, it lacks the attribute, several entities of that name fit, or no single reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from kb_index.normalize import normalize_attribute
from kb_index.types import Triple
from kbqa_agent.presence import Presence
from kbqa_agent.types import Abstention, Answer, Candidate, EntityMention

__all__ = ["Choice", "asking_back", "choices_of", "homonyms", "likelihood", "reason_for_silence"]

MOSTLY = 0.7
"""Homonyms that have this share of the probability together are what the question leaves open."""
WORTH_A_CHOICE = 0.05
"""An entity is listed when its answer has at least this share of the first one's probability."""
MAX_CHOICES = 9
TOLD_APART_BY_NOTHING = 0.9
"""Of entities with the very same name a question cannot say which it means: one is told only with this share."""


class Choice(NamedTuple):
    """An entity that a question may mean, and the triple that would then answer it."""

    answer: str
    triple: Triple


def homonyms(candidates: Sequence[Candidate], mentions: Sequence[EntityMention]) -> dict[str, list[Triple]]:
    """The triples that answer a question for each entity of the best one's name, by their answers, best first.

    The best triple's attribute is the one asked for; one entity with several values of it is no homonym.
    """
    if not candidates or not candidates[0].evidence:
        return {}
    best = candidates[0].evidence[0]
    named = {best.subject_id}
    for mention in mentions:
        ids = {e.id for e in mention.entities}
        named |= ids if best.subject_id in ids else set()
    asked, seen, found = normalize_attribute(best.predicate), set[int](), dict[str, list[Triple]]()
    for candidate in candidates:
        if candidate.score < WORTH_A_CHOICE * candidates[0].score:
            break
        for triple in _about(candidate.evidence, named - seen, asked):
            seen.add(triple.subject_id)
            found.setdefault(candidate.answer, []).append(triple)
    return found


def _about(triples: Sequence[Triple], subjects: set[int], attribute: str) -> Iterator[Triple]:
    return (t for t in triples if t.subject_id in subjects and normalize_attribute(t.predicate) == attribute)


def reason_for_silence(
    candidates: Sequence[Candidate], mentions: Sequence[EntityMention], presence: Presence | None
) -> Abstention:
    """Give the likeliest reason why the first candidate is not sure enough.

    Without a judgement of presence, the sum of the candidates' probabilities tells whether the answer is there.
    """
    if not candidates:
        return "no_entity"
    total = sum(c.score for c in candidates)
    here, no_attribute, no_entity = presence or (total, 1.0 - total, 0.0)
    if no_entity > max(here, no_attribute):
        return "no_entity"
    if no_attribute > here:
        return "no_attribute"
    return "ambiguous" if _held_by_homonyms(candidates, mentions) >= MOSTLY * total else "low_confidence"


def asking_back(answer: Answer, below: float) -> Answer:
    """Withhold an answer with less than a share of what it and those of other entities of its name have together.

    Entities that share all of their name, which only RDF has, take more; with `below` 0 nothing is withheld.
    """
    if answer.text is None or not answer.supported or not below:
        return answer
    held = _held_by_homonyms(answer.candidates, answer.mentions)
    if _share_a_name(answer):
        below = max(below, TOLD_APART_BY_NOTHING)
    if held < MOSTLY * sum(c.score for c in answer.candidates) or answer.candidates[0].score >= below * held:
        return answer
    return replace(answer, text=None, abstained="ambiguous", values=())


def _share_a_name(answer: Answer) -> bool:
    """Whether one of the homonyms has the best one's whole name, with its description."""
    triples = [t for of in homonyms(answer.candidates, answer.mentions).values() for t in of]
    return any(t.subject == triples[0].subject and t.subject_id != triples[0].subject_id for t in triples[1:])


def likelihood(answer: Answer) -> float:
    """How probable it is that the question is answered here, whichever of several entities of its name it means."""
    best = max((c.score for c in answer.candidates[:1]), default=0.0)
    return min(1.0, max(best, _held_by_homonyms(answer.candidates, answer.mentions)))


def _held_by_homonyms(candidates: Sequence[Candidate], mentions: Sequence[EntityMention]) -> float:
    """What the answers of several entities of one name have of the probability; 0 where there is one such entity."""
    found = homonyms(candidates, mentions)
    return sum(c.score for c in candidates if c.answer in found) if len(found) > 1 else 0.0


def choices_of(answer: Answer) -> list[Choice]:
    """List the entities that an ambiguous question may mean, likeliest first; none for other answers."""
    if answer.abstained != "ambiguous":
        return []
    found = homonyms(answer.candidates, answer.mentions)
    distinct = {(triple.subject, text): Choice(text, triple) for text, triples in found.items() for triple in triples}
    return list(distinct.values())[:MAX_CHOICES]
