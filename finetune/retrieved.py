"""Question-answer pairs -> what the pipeline retrieves for each question, and which of those triples are right."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from kb_index.knowledge_base import KnowledgeBase
from kb_index.types import Triple
from kbqa_agent.features import attribute_of
from kbqa_agent.linking import link_many
from kbqa_agent.mention_features import mask_mention
from kbqa_agent.qa_data import comparable
from kbqa_agent.retrieval import retrieve_many
from kbqa_agent.types import EntityMention, QAExample
from kbqa_agent.wordings import AskedFact

__all__ = ["GOLD", "SAME_ANSWER", "Retrieved", "all_texts", "retrieve_examples"]

GOLD, SAME_ANSWER = 2, 1
QUESTIONS_AT_ONCE = 500


class Retrieved(NamedTuple):
    """A question with all that the pipeline found for it; `labels` (n_triples,) are 0, `SAME_ANSWER` or `GOLD`.

    `asked` and the mention that it is `about` are None if no right triple was found.
    """

    question: str
    mentions: tuple[EntityMention, ...]
    triples: list[Triple]
    labels: NDArray[np.int64]
    answerable: bool
    asked: AskedFact | None
    about: EntityMention | None


def retrieve_examples(kb: KnowledgeBase, examples: Sequence[QAExample]) -> list[Retrieved]:
    """Link and retrieve all questions."""
    found = []
    with tqdm(total=len(examples), desc="retrieve", unit="question", disable=None) as bar:
        for start in range(0, len(examples), QUESTIONS_AT_ONCE):
            batch = examples[start : start + QUESTIONS_AT_ONCE]
            mentions = link_many(kb, [e.question for e in batch])
            triples = retrieve_many(kb, mentions)
            found += [_labelled(*item) for item in zip(batch, mentions, triples, strict=True)]
            bar.update(len(batch))
    return found


def all_texts(found: Iterable[Retrieved]) -> tuple[list[str], list[str]]:
    """The distinct questions and the distinct attributes of all their triples."""
    questions = {f.question: None for f in found}
    return list(questions), list({attribute_of(t.predicate): None for f in found for t in f.triples})


def _labelled(example: QAExample, mentions: tuple[EntityMention, ...], triples: list[Triple]) -> Retrieved:
    answers = {comparable(a) for a in example.answers}
    asked = attribute_of(example.triple[1]) if example.triple else None
    labels = [
        (GOLD if asked in (None, attribute_of(t.predicate)) else SAME_ANSWER) if comparable(t.object) in answers else 0
        for t in triples
    ]
    best = max(range(len(labels)), key=labels.__getitem__, default=0)
    fact, about = _asked(example.question, mentions, triples[best]) if any(labels) else (None, None)
    return Retrieved(example.question, mentions, triples, np.array(labels, dtype=np.int64), bool(answers), fact, about)


def _asked(question: str, mentions: Sequence[EntityMention], gold: Triple) -> tuple[AskedFact, EntityMention]:
    mention = next(m for m in mentions if any(e.id == gold.subject_id for e in m.entities))
    return AskedFact(mask_mention(question, mention), attribute_of(gold.predicate), gold.object), mention
