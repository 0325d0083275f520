"""Chains in Chinese questions: 姚明的妻子的出生地 becomes 叶莉的出生地, which is asked in its place.

A question is shortened where the name of an entity is followed by one of its own attributes, word for word, and the
attribute's value is the name of an entity. The shorter question may be one of any kind, a chain too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from kb_index.knowledge_base import KnowledgeBase
from kb_index.normalize import normalize_name
from kb_index.types import Triple
from kbqa_agent.descriptions import described
from kbqa_agent.features import attribute_of
from kbqa_agent.frame import CLOSING_MARKS, bare
from kbqa_agent.several import total
from kbqa_agent.types import Answer, Candidate, EntityMention, Proposal

__all__ = ["hop"]

MAX_SHORTER = 6
MIN_CHARS = 2
"""An attribute of one character is found in other words too often."""
SURE = 0.95
"""How sure the first fact is, which the wording names; the confidence is its product with that of the rest."""
ENOUGH = 0.5
"""An answer to the shorter question is taken where it is at least as probable."""

_ASKS_ON = re.compile(r"的(?!是|什么|名字|姓名|[?？]|$)")
_DOES = re.compile(
    r"(?:还|曾)?(?:(?:写|著|导演|执导|主演|演|唱|创作)[过了]|出生|毕业|是?(?:哪里人|哪国|哪年|哪一年|何时|什么时候))"
)
"""What follows an attribute whose value is not yet what is asked for: 的 and more, or what that value does."""
_OTHERS = re.compile(r"还|其他|其它|另外|别的")
_NUMBER = re.compile(r"[\d.,:：/年月日-]+$")
"""Numbers and dates are entities too, but no question about a region's code goes on about the number ten."""
_SMALL = "的是在有"


class _Shorter(NamedTuple):
    """A shorter question, which is `name` and what was left of the longer one, and the fact that leads to the name."""

    name: str
    left: str
    fact: Triple


def hop(
    kb: KnowledgeBase,
    question: str,
    mentions: Sequence[EntityMention],
    triples: Sequence[Triple],
    ask: Callable[[str], Answer],
) -> Proposal | None:
    """Answer a question by way of a fact that it names; None where it names none, or what is left has no answer."""
    text = bare(question)
    by_description = (_Shorter(d.name, text[d.end :], d.fact) for d in described(kb, text))
    shorter = [*by_description, *_by_attribute(kb, question, mentions, triples)][:MAX_SHORTER]
    for _, group in groupby(shorter, key=lambda s: (s.fact.subject_id, attribute_of(s.fact.predicate))):
        found = [(s.fact, answer) for s in group if _answers(answer := ask(s.name + s.left), s)]
        known = {fact.subject for fact, _ in found} if _OTHERS.search(question) else set()
        if proposal := _joined(found, known):
            return proposal
    return None


def _joined(found: Iterable[tuple[Triple, Answer]], known: set[str]) -> Proposal | None:
    """All values of the answers but those that are known, each with the path that leads to it."""
    candidates: dict[str, Candidate] = {}
    for fact, answer in found:
        score = SURE * max(ENOUGH, total(answer))
        for c in answer.candidates:
            if c.answer in answer.values and c.answer not in known:
                candidates.setdefault(c.answer, Candidate(c.answer, score, (fact, *c.evidence)))
    others = (value for _, answer in found for value in answer.values if value not in known)
    return Proposal(tuple(candidates.values()), tuple(dict.fromkeys((*candidates, *others)))) if candidates else None


def _answers(answer: Answer, shorter: _Shorter) -> bool:
    """Whether an answer is sure, or its attribute asked for word for word, and it is about the entity of that name."""
    if answer.told is None or not answer.told.evidence:
        return False
    first = answer.told.evidence[0]
    if total(answer) < ENOUGH and not shorter.left.removeprefix("的").startswith(first.predicate):
        return False
    names = {normalize_name(first.object), *(normalize_name(n) for n in _plain(first.subject))}
    return normalize_name(shorter.name) in names


def _plain(name: str) -> tuple[str, str]:
    return name, re.sub(r"[（(][^（()）]*[)）]$", "", name)


def _by_attribute(
    kb: KnowledgeBase, question: str, mentions: Iterable[EntityMention], triples: Sequence[Triple]
) -> Iterator[_Shorter]:
    of_subject: dict[int, list[Triple]] = {}
    for triple in triples:
        of_subject.setdefault(triple.subject_id, []).append(triple)
    for mention in mentions:
        if mention.text[0] in _SMALL:
            continue
        rest = question[mention.end :].lstrip(CLOSING_MARKS).removeprefix("的")
        facts = [f for entity in mention.entities for f in of_subject.get(entity.id, ())]
        for fact in _named_first(rest, facts):
            left = rest[len(fact.predicate) :]
            if _asks_on(kb, left, fact):
                yield _Shorter(fact.object, left, fact)


def _asks_on(kb: KnowledgeBase, left: str, fact: Triple) -> bool:
    """Whether what is left of a question asks for more than the fact: for something of the entity that it leads to."""
    if len(fact.predicate) < MIN_CHARS or _NUMBER.match(fact.object):
        return False
    entities = kb.entities_named(fact.object)
    if _DOES.match(left):
        return bool(entities) or len(kb.triples_about(fact.object, 2)) > 1
    attributes = (t.predicate for t in kb.triples_of([e.id for e in entities]))
    return any(_ASKS_ON.match(left) or (len(a) >= MIN_CHARS and left.startswith(a)) for a in attributes)


def _named_first(rest: str, facts: Iterable[Triple]) -> list[Triple]:
    """The facts of the longest attribute that a text begins with."""
    named = [f for f in facts if rest.startswith(f.predicate)]
    longest = max((len(f.predicate) for f in named), default=0)
    return [f for f in named if len(f.predicate) == longest]
