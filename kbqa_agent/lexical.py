"""The lexical baseline: no training, only the characters that a question and an attribute share.

It ranks as the published baseline of the task does, by string overlap, and is there to be compared with.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kb_index.normalize import normalize_attribute
from kb_index.types import Triple
from kbqa_agent.features import mention_of_triples
from kbqa_agent.mention_features import mask_mention
from kbqa_agent.patterns import MASK
from kbqa_agent.types import EntityMention

__all__ = ["LexicalRanker", "overlap"]

TEMPERATURE = 0.05
"""Sharp enough that one attribute which shares more with the question than all others is answered with."""


class LexicalRanker:
    """Ranks a triple by the length of its subject's mention and the characters its attribute shares with the rest.

    Its probabilities are a softmax of these scores and are not calibrated.
    """

    def rank(
        self, question: str, mentions: Sequence[EntityMention], triples: Sequence[Triple]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Score each triple: the mention's share of the question + `overlap`; softmax of them, both (n_triples,)."""
        if not triples:
            return np.zeros(0, np.float32), np.zeros(0, np.float32)
        left = [mask_mention(question, mention).replace(MASK, "") for mention in mentions]
        share = [(mention.end - mention.start) / len(question) for mention in mentions]
        of = mention_of_triples(mentions, triples)
        known = {(number, t.predicate) for number, t in zip(of, triples, strict=True)}
        overlaps = {(number, p): overlap(normalize_attribute(p), left[number]) for number, p in known}
        scores = np.array([share[n] + overlaps[n, t.predicate] for n, t in zip(of, triples, strict=True)], np.float32)
        weights = np.exp((scores - scores.max()) / TEMPERATURE)
        return scores, (weights / weights.sum()).astype(np.float32)


def overlap(attribute: str, rest: str) -> float:
    """The share of an attribute's characters that are in the rest of a question, each as often as it is there.

    >>> overlap("出版社", "是哪个出版社出版的"), overlap("作者", "的编者是谁"), overlap("", "是谁")
    (1.0, 0.5, 0.0)
    """
    shared = sum(min(attribute.count(c), rest.count(c)) for c in set(attribute))
    return shared / len(attribute) if attribute else 0.0
