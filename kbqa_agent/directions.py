"""Which kind of question this is: one attribute of one entity, or one of the kinds that have a module of their own.

The wording proposes a kind and the index has to bear it out; otherwise the question is about one attribute.
"""

from __future__ import annotations

from collections.abc import Sequence

from kb_index.knowledge_base import KnowledgeBase
from kbqa_agent.chains import chain
from kbqa_agent.reverse import reverse
from kbqa_agent.types import Candidate, Proposal

__all__ = ["propose"]


ENOUGH = 0.5
"""An attribute of the entity itself that is so probable answers a question that could be a reverse one too."""


def propose(kb: KnowledgeBase, question: str, one_hop: Sequence[Candidate]) -> Proposal | None:
    """Answer a question of another kind; None for one about an attribute, or where the triples do not bear it out.

    `one_hop` are the candidates if it is about an attribute, best first.
    """
    likelihood = one_hop[0].score if one_hop else 0.0
    chained = chain(kb, question)
    if chained is not None and (_is_other(chained) or chained.candidates[0].score >= likelihood):
        return chained
    return reverse(kb, question, has_attribute=likelihood >= ENOUGH)


def _is_other(proposal: Proposal) -> bool:
    """Whether an answer is not the value of an attribute of an entity."""
    best = proposal.candidates[0]
    return len(best.evidence) > 1 or best.answer != best.evidence[0].object
