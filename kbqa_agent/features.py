"""What the ranker sees of a candidate triple: one row of numbers for each, in five groups.

*mention*: how much of the question the name takes, whether it stands apart, and how what is left reads. *entity*: how
well known it is, and whether its description, its attributes and its objects fit the question's other words.
*attribute*: how its name fits the rest of the question, by characters and by the translation model. *object*: its
shape, beside what the question asks for. *relative*: the strongest of these as distances from the best candidate of the
same question, of the same mention, and of the same entity. Where the ranker was trained with a transformer encoder, a
sixth group tells how near the question comes to the attribute in meaning (`similarity.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from kb_index.normalize import normalize_attribute
from kb_index.types import Triple
from kbqa_agent.fact_features import (
    ATTRIBUTE,
    ENTITY,
    OBJECT,
    MaskedQuestion,
    attribute_features,
    entity_features,
    object_features,
    question_kind,
)
from kbqa_agent.mention_features import MENTION, mask_mention, mention_features
from kbqa_agent.similarity import SIMILARITY
from kbqa_agent.types import EntityMention
from kbqa_agent.wordings import Wordings

__all__ = [
    "FEATURES",
    "MadeRows",
    "attribute_of",
    "candidate_features",
    "feature_names",
    "mention_of_triples",
    "numbered",
]

BEST_OF_QUESTION = (
    "chars", "name_surprise", "name_rarity", "rarity_around", "char_recall", "common_run", "gain_sum", "gain_whole",
    "left_surprise", "object_gain", "unheard_of",
)  # fmt: skip
BEST_OF_MENTION = ("gain_sum", "left_surprise", "left_undescribed", "n_triples")
BEST_OF_ENTITY = ("gain_sum", "gain_whole", "char_recall", "left_surprise")
RELATIVE = (BEST_OF_QUESTION, BEST_OF_MENTION, BEST_OF_ENTITY)
LESS_IS_BETTER = {"left_surprise", "left_undescribed", "unheard_of", "rarity_around"}
ABSOLUTE = (*MENTION, *ENTITY, *ATTRIBUTE, *OBJECT, "n_values")
FEATURES = (
    *ABSOLUTE,
    *(f"{name}_off_best" for name in BEST_OF_QUESTION),
    *(f"{name}_off_mention" for name in BEST_OF_MENTION),
    *(f"{name}_off_entity" for name in BEST_OF_ENTITY),
)
"""The features without an encoder."""
SIMILARITY_FEATURES = tuple(
    f"{name}{of}" for of in ("", "_off_best", "_off_mention", "_off_entity") for name in SIMILARITY
)

T = TypeVar("T")
MadeRows = dict[tuple[int, int, tuple[int, ...]], NDArray[np.float32]]
"""(start, end) of a mention and the ids of its triples -> what is seen of these facts, (n_triples, n)."""

attribute_of = lru_cache(maxsize=200_000)(normalize_attribute)


def feature_names(similarity: bool) -> tuple[str, ...]:
    """The names of the columns that `candidate_features` gives, with or without a similarity in the wordings."""
    return (*FEATURES, *SIMILARITY_FEATURES) if similarity else FEATURES


def candidate_features(
    question: str,
    mentions: Sequence[EntityMention],
    triples: Sequence[Triple],
    wordings: Wordings,
    frequency: Callable[[Sequence[str]], NDArray[np.int64]],
    made: MadeRows | None = None,
) -> NDArray[np.float32]:
    """Features of each triple, (n_triples, n_features); `frequency` counts attributes in the knowledge base.

    `made` holds what was made of the same question before, by the same wordings, and is filled: where a question is
    asked again with some triples gone, most of it stays as it is.
    """
    if not len(triples):
        return np.zeros((0, len(feature_names(wordings.similarity is not None))), np.float32)
    facts = [(attribute_of(t.predicate), t) for t in triples]
    counted = {a: i for i, a in enumerate(dict.fromkeys(a for a, _ in facts))}
    frequencies = dict(zip(counted, np.log1p(frequency(list(counted))), strict=True))
    kind = question_kind(question)
    made = {} if made is None else made
    mention_of = mention_of_triples(mentions, triples)
    rows = np.zeros((len(triples), len(ABSOLUTE)), np.float32)
    for number in np.unique(mention_of):
        at, mention = np.flatnonzero(mention_of == number), mentions[number]
        of_mention = [facts[i] for i in at]
        masked = mask_mention(question, mention)
        rows[at, : len(MENTION)] = mention_features(question, mention, mentions, masked, wordings.attributes)
        key = (mention.start, mention.end, tuple(t.id for _, t in of_mention))
        if key not in made:
            made[key] = _of_facts(MaskedQuestion(masked, wordings), mention, of_mention, frequencies, kind)
        rows[at, len(MENTION) :] = made[key]
    groups = (np.zeros_like(mention_of), mention_of, np.array([t.subject_id for t in triples]))
    parts = [rows, *(_off_best(_signed(rows, names), group) for names, group in zip(RELATIVE, groups, strict=True))]
    if wordings.similarity is not None:
        table = wordings.similarity.table(question, mentions, list(counted))
        near = table[mention_of, [counted[a] for a, _ in facts]]
        parts += [near, *(_off_best(near, group) for group in groups)]
    return np.hstack(parts)


def _of_facts(
    asked: MaskedQuestion,
    mention: EntityMention,
    facts: Sequence[tuple[str, Triple]],
    frequencies: Mapping[str, float],
    kind: int,
) -> NDArray[np.float32]:
    """What is seen of a mention's triples, given with their attributes, beside the mention itself, (n_triples, n)."""
    attribute_row, attributes = numbered([a for a, _ in facts])
    entity_row, _ = numbered([t.subject_id for _, t in facts])
    entities = [[facts[i] for i in np.flatnonzero(entity_row == e).tolist()] for e in range(entity_row.max() + 1)]
    return np.hstack(
        [
            entity_features(asked, mention, entities)[entity_row],
            attribute_features(asked, attributes, np.array([frequencies[a] for a in attributes]))[attribute_row],
            object_features(asked, mention, facts, kind),
            _values(facts),
        ]
    )


def mention_of_triples(mentions: Sequence[EntityMention], triples: Sequence[Triple]) -> NDArray[np.int64]:
    """The number of each triple's mention; an entity found by several belongs to the first (the longest)."""
    first: dict[int, int] = {}
    for number, mention in enumerate(mentions):
        for entity in mention.entities:
            first.setdefault(entity.id, number)
    return np.array([first[t.subject_id] for t in triples])


def numbered(values: Sequence[T]) -> tuple[NDArray[np.int64], list[T]]:
    """The number of each value among the distinct ones, in order of appearance, and the distinct ones."""
    distinct = {value: i for i, value in enumerate(dict.fromkeys(values))}
    return np.array([distinct[value] for value in values]), list(distinct)


def _values(facts: Sequence[tuple[str, Triple]]) -> NDArray[np.float32]:
    """How many values the entity of each triple has of its attribute, (n_triples, 1)."""
    counts = Counter((t.subject_id, a) for a, t in facts)
    return np.array([[counts[t.subject_id, a]] for a, t in facts], np.float32)


def _signed(rows: NDArray[np.float32], names: Sequence[str]) -> NDArray[np.float32]:
    """The columns of these names, (n_triples, n_names), turned so that more is better."""
    signs = np.array([-1 if name in LESS_IS_BETTER else 1 for name in names], np.float32)
    return rows[:, [ABSOLUTE.index(name) for name in names]] * signs


def _off_best(values: NDArray[np.float32], group: NDArray[np.int64]) -> NDArray[np.float32]:
    """How far each triple is from the best of its group, in each column of `values` (n_triples, n_columns)."""
    _, number = np.unique(group, return_inverse=True)
    best = np.full((number.max() + 1, values.shape[1]), -np.inf, np.float32)
    np.maximum.at(best, number, values)
    off: NDArray[np.float32] = best[number] - values
    return off
