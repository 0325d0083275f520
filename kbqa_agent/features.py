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
from collections.abc import Callable, Iterable, Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from kb_index.types import Triple
from kbqa_agent.fact_features import (
    ATTRIBUTE,
    ENTITY,
    OBJECT,
    MaskedQuestion,
    attribute_features,
    entity_features,
    object_features,
)
from kbqa_agent.groups import Asked, Group, attribute_of, groups_of, mention_of_triples, numbered
from kbqa_agent.mention_features import MENTION, mention_features
from kbqa_agent.similarity import SIMILARITY, Similarity
from kbqa_agent.types import EntityMention
from kbqa_agent.wordings import Wordings, object_form

__all__ = [
    "FEATURES",
    "Asked",
    "MadeRows",
    "attribute_of",
    "candidate_features",
    "candidate_features_many",
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

N_COMPARED = ATTRIBUTE.index("frequency")
"""So many of an attribute's features compare it with the question."""

Frequency = Callable[[Sequence[str]], NDArray[np.int64]]
MadeRows = dict[tuple[int, int, tuple[int, ...]], NDArray[np.float32]]
"""(start, end) of a mention and the ids of its triples -> what is seen of these facts, (n_triples, n)."""


def feature_names(similarity: bool) -> tuple[str, ...]:
    """The names of the columns that `candidate_features` gives, with or without a similarity in the wordings."""
    return (*FEATURES, *SIMILARITY_FEATURES) if similarity else FEATURES


def candidate_features(
    question: str,
    mentions: Sequence[EntityMention],
    triples: Sequence[Triple],
    wordings: Wordings,
    frequency: Frequency,
    made: MadeRows | None = None,
) -> NDArray[np.float32]:
    """Features of each triple, (n_triples, n_features); `frequency` counts attributes in the knowledge base.

    `made` holds what was made of the same question before, by the same wordings, and is filled: where a question is
    asked again with some triples gone, most of it stays as it is.
    """
    return candidate_features_many([Asked(question, mentions, triples)], wordings, frequency, made)[0]


def candidate_features_many(
    asked: Sequence[Asked],
    wordings: Wordings,
    frequency: Frequency,
    made: MadeRows | None = None,
) -> list[NDArray[np.float32]]:
    """The same numbers for each of several questions, in less time; with `made`, for one question."""
    groups = [groups_of(question) for question in asked]
    together = [group for of_question in groups for group in of_question]
    if not together:
        return [np.zeros((0, len(feature_names(wordings.similarity is not None))), np.float32) for _ in asked]
    rows = np.hstack([_of_mentions(together, wordings), _of_facts_made(together, wordings, frequency, made)])
    question = np.repeat(np.arange(len(asked)), [len(a.triples) for a in asked])
    mention = np.repeat(np.arange(len(together)), [len(group.facts) for group in together])
    subjects = np.array([t.subject_id for group in together for _, t in group.facts], np.int64)
    entity = question * (subjects.max() + 1) + subjects
    numbers = (question, mention, entity)
    parts = [rows, *(_off_best(_signed(rows, names), of) for names, of in zip(RELATIVE, numbers, strict=True))]
    if wordings.similarity is not None:
        near = np.concatenate([_near(of, wordings.similarity) for of in groups if of])
        parts += [near, *(_off_best(near, of) for of in numbers)]
    found = np.split(np.hstack(parts), np.cumsum([len(a.triples) for a in asked])[:-1])
    return [_in_place(rows, of_question) for rows, of_question in zip(found, groups, strict=True)]


def _in_place(rows: NDArray[np.float32], groups: Sequence[Group]) -> NDArray[np.float32]:
    """Rows by groups, in the order of the question's triples."""
    ordered = np.empty_like(rows)
    ordered[[i for group in groups for i in group.places]] = rows
    return ordered


def _of_mentions(groups: Sequence[Group], wordings: Wordings) -> NDArray[np.float32]:
    """The features of `MENTION` for each triple of the groups, (n_triples, len(MENTION))."""
    model = wordings.attributes
    seen = (mention_features(g.asked.question, g.mention, g.asked.mentions, g.masked, model) for g in groups)
    return np.repeat(_array(seen, len(MENTION)), [len(group.facts) for group in groups], axis=0)


def _of_facts_made(
    groups: Sequence[Group], wordings: Wordings, frequency: Frequency, made: MadeRows | None
) -> NDArray[np.float32]:
    """What `_of_facts` gives; what is in `made` is not made again, and what is not is put there."""
    if made is None:
        return _of_facts(groups, wordings, frequency)
    new = [group for group in groups if group.key not in made]
    if new:
        ends = np.cumsum([len(group.facts) for group in new])[:-1]
        made |= zip((group.key for group in new), np.split(_of_facts(new, wordings, frequency), ends), strict=True)
    return np.concatenate([made[group.key] for group in groups])


def _of_facts(groups: Sequence[Group], wordings: Wordings, frequency: Frequency) -> NDArray[np.float32]:
    """The features of entities, attributes and objects for each triple of the groups, (n_triples, n)."""
    asked = [MaskedQuestion(group.masked, wordings) for group in groups]
    together = list(zip(asked, groups, strict=True))
    number = np.repeat(np.arange(len(groups)), [len(group.facts) for group in groups])
    objects, distinct = numbered([t.object for group in groups for _, t in group.facts])
    forms = {value: object_form(value) for value in distinct}
    of_entities = chain.from_iterable(entity_features(q, g.mention, _by_subject(g.facts), forms) for q, g in together)
    entities, _ = numbered([(i, t.subject_id) for i, g in enumerate(groups) for _, t in g.facts])
    of_objects = chain.from_iterable(object_features(q, g.mention, g.facts, g.kind, forms) for q, g in together)
    gains = wordings.object_gains([group.masked for group in groups], list(forms.values()), number, objects)
    parts = (
        _array(of_entities, len(ENTITY))[entities],
        _of_attributes(asked, groups, wordings, frequency),
        _array(of_objects, len(OBJECT) - len(gains)),
        np.column_stack(gains),
        np.array([[n] for group in groups for n in _n_values(group.facts)]),
    )
    return np.hstack(parts, dtype=np.float32, casting="unsafe")


def _of_attributes(
    asked: Sequence[MaskedQuestion], groups: Sequence[Group], wordings: Wordings, frequency: Frequency
) -> NDArray[np.float32]:
    """The features of `ATTRIBUTE` for each triple of the groups, (n_triples, len(ATTRIBUTE)), each pair made once."""
    number, names = numbered([a for group in groups for a, _ in group.facts])
    question = np.repeat(np.arange(len(groups)), [len(group.facts) for group in groups])
    pairs, pair = np.unique(question * len(names) + number, return_inverse=True)
    question, number = divmod(pairs, len(names))
    counts = [(n, wordings.asked.get(a, 0)) for n, a in zip(frequency(names).tolist(), names, strict=True)]
    at = zip(question.tolist(), number.tolist(), strict=True)
    compared = _array((attribute_features(asked[i], names[j]) for i, j in at), N_COMPARED)
    gains, whole = wordings.attribute_gains([q.masked for q in asked], names, question, number)
    return np.column_stack([compared, np.log1p(counts)[number], *gains, whole]).astype(np.float32)[pair]


def _array(rows: Iterable[Iterable[float]], n_columns: int) -> NDArray[np.float32]:
    """Rows as an array, each gone when it was read: many that live at a time cost time in garbage collections."""
    return np.fromiter(chain.from_iterable(rows), np.float32).reshape(-1, n_columns)


def _by_subject(facts: Sequence[tuple[str, Triple]]) -> Iterable[list[tuple[str, Triple]]]:
    found: dict[int, list[tuple[str, Triple]]] = {}
    for fact in facts:
        found.setdefault(fact[1].subject_id, []).append(fact)
    return found.values()


def _n_values(facts: Sequence[tuple[str, Triple]]) -> list[int]:
    """How many values the entity of each triple has of its attribute."""
    counts = Counter((t.subject_id, a) for a, t in facts)
    return [counts[t.subject_id, a] for a, t in facts]


def _near(groups: Sequence[Group], similarity: Similarity) -> NDArray[np.float32]:
    """How near the question of some groups comes to their triples' attributes, (n_triples, len(SIMILARITY))."""
    asked = groups[0].asked
    attributes = {a: i for i, a in enumerate(dict.fromkeys(attribute_of(t.predicate) for t in asked.triples))}
    table = similarity.table(asked.question, asked.mentions, list(attributes))
    numbers = [number for group in groups for number in [group.number] * len(group.facts)]
    near: NDArray[np.float32] = table[numbers, [attributes[a] for group in groups for a, _ in group.facts]]
    return near


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
