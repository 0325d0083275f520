"""Which kind of question this is: one attribute of one entity, or one of the kinds that have a module of their own.

The wording proposes a kind and the index has to bear it out; otherwise the question is about one attribute.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from kb_index.knowledge_base import KnowledgeBase
from kb_index.types import Triple
from kbqa_agent.chains import chain
from kbqa_agent.claims import claim
from kbqa_agent.comparing import compare
from kbqa_agent.counting import asks_for_number, count, counted
from kbqa_agent.english_claims import english_claim
from kbqa_agent.hops import hop
from kbqa_agent.reverse import reverse
from kbqa_agent.types import Answer, Candidate, EntityMention, Proposal

__all__ = ["Found", "propose"]


ENOUGH = 0.5
"""An attribute of the entity itself that is so probable answers a question that could be of another kind too."""


class Found(NamedTuple):
    """What the pipeline found for a question, read as one about an attribute; `candidates` best first."""

    mentions: Sequence[EntityMention]
    triples: Sequence[Triple]
    candidates: Sequence[Candidate]


def propose(kb: KnowledgeBase, question: str, found: Found, ask: Callable[[str], Answer] | None) -> Proposal | None:
    """Answer a question of another kind; None for one about an attribute, or where the triples do not bear it out.

    `ask` answers the shorter question that a chain leaves; None where the chain is long enough.
    """
    likelihood = found.candidates[0].score if found.candidates else 0.0
    judged = claim(kb, question) or english_claim(kb, question) or compare(question, found.mentions, found.triples)
    if judged is not None:
        return judged
    led_to = _led_to(kb, question, likelihood)
    if led_to is not None:
        return counted(led_to) if asks_for_number(question) else led_to
    numbered = count(question, found.mentions, found.triples)
    if numbered is not None or ask is None:
        return numbered
    return hop(kb, question, found.mentions, found.triples, ask)


def _led_to(kb: KnowledgeBase, question: str, likelihood: float) -> Proposal | None:
    chained = chain(kb, question)
    if chained is not None and (_is_other(chained) or chained.candidates[0].score >= likelihood):
        return chained
    return reverse(kb, question, has_attribute=likelihood >= ENOUGH)


def _is_other(proposal: Proposal) -> bool:
    """Whether an answer is not the value of an attribute of an entity."""
    best = proposal.candidates[0]
    return len(best.evidence) > 1 or best.answer != best.evidence[0].object
