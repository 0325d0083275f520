"""Which kind of question this is: one attribute of one entity, or one of the kinds that have a module of their own.

The wording proposes a kind and the index has to bear it out; otherwise the question is about one attribute.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from kb_index.knowledge_base import KnowledgeBase
from kb_index.types import Triple
from kbqa_agent.chains import chain
from kbqa_agent.claims import asks_if, claim, claim_by_asking
from kbqa_agent.comparing import compare
from kbqa_agent.conjunction import shared_by_both
from kbqa_agent.counting import asks_for_number, count, count_by_asking, counted
from kbqa_agent.doers import doers
from kbqa_agent.english_claims import english_claim
from kbqa_agent.english_names import names_in
from kbqa_agent.frame import Span
from kbqa_agent.hops import hop
from kbqa_agent.proposals import SURE
from kbqa_agent.reverse import reverse
from kbqa_agent.several import asks_for_several, gathered, total
from kbqa_agent.types import Answer, Candidate, EntityMention, Proposal

__all__ = ["Found", "propose"]


ENOUGH = 0.5
"""An attribute of the entity itself that is so probable may answer a question that could be of another kind too, and
an answer so probable to a question in other words is taken."""

_OWN_WORKS = re.compile("作|著")
"""What an attribute such as 代表作 or 著作 has in its name: it answers 写过哪些书 though it shares no word with it."""


class Found(NamedTuple):
    """What the pipeline found for a question, read as one about an attribute; `candidates` best first."""

    mentions: Sequence[EntityMention]
    triples: Sequence[Triple]
    candidates: Sequence[Candidate]


def propose(kb: KnowledgeBase, question: str, found: Found, ask: Callable[[str], Answer] | None) -> Proposal | None:
    """Answer a question of another kind; None for one about an attribute, or where the triples do not bear it out.

    `ask` answers the shorter question that a chain leaves; None where the chain is long enough.
    """
    judged = claim(kb, question) or english_claim(kb, question) or compare(question, found.mentions, found.triples)
    if judged is not None:
        return judged
    names = [*(Span(m.start, m.end) for m in found.mentions), *names_in(kb, question)]
    led_to = shared_by_both(question, names, lambda q: _led_to(kb, q, found)) or _led_to(kb, question, found)
    if led_to is not None:
        return counted(led_to) if asks_for_number(question) else led_to
    by_wording = count(question, *found) or doers(question, *found)
    if by_wording is not None or ask is None:
        return by_wording
    hopped = hop(kb, question, found.mentions, found.triples, ask)
    best = _likeliest(question, found.candidates)
    enough = SURE if asks_if(question) else ENOUGH  # a value seldom answers yes or no: 非处方药 does
    if hopped is not None or (best.score >= enough and best.answer not in {m.text for m in found.mentions}):
        return hopped
    return _by_asking(kb, question, found, ask)


def _by_asking(kb: KnowledgeBase, question: str, found: Found, ask: Callable[[str], Answer]) -> Proposal | None:
    """Answer a question for which no attribute is likely, by asking in other words where that is."""

    def likely(other: str) -> Answer | None:
        answer = ask(other)
        return answer if answer.text is not None and total(answer) >= ENOUGH else None

    return claim_by_asking(kb, question, found.mentions, likely) or count_by_asking(question, likely)


def _led_to(kb: KnowledgeBase, question: str, found: Found) -> Proposal | None:
    chained = chain(kb, question)
    likelihood = max((c.score for c in found.candidates[:1]), default=0.0)
    if chained is not None and (_is_other(chained) or chained.candidates[0].score >= likelihood):
        return chained
    return reverse(kb, question, has_attribute=_has_attribute(question, found.candidates))


def _has_attribute(question: str, candidates: Sequence[Candidate]) -> bool:
    """Whether an attribute of an entity itself answers the question: it is probable, and its name fits the wording."""
    likeliest = _likeliest(question, candidates)
    if likeliest.score < ENOUGH:
        return False
    name = likeliest.evidence[0].predicate
    return bool(_OWN_WORKS.search(name)) or any(name[i : i + 2] in question for i in range(len(name) - 1))


def _likeliest(question: str, candidates: Sequence[Candidate]) -> Candidate:
    """The best candidate, as probable as its value is, or as all its values are where the question asks for all."""
    found = gathered(candidates) if asks_for_several(question) else candidates
    return found[0] if found else Candidate("", 0.0, ())


def _is_other(proposal: Proposal) -> bool:
    """Whether an answer is not the value of an attribute of an entity."""
    best = proposal.candidates[0]
    return len(best.evidence) > 1 or best.answer != best.evidence[0].object
