"""Features of entities, attributes and objects beside a question whose mention is masked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from kb_index.normalize import normalize_name, strip_description
from kb_index.types import Triple
from kbqa_agent.patterns import MASK
from kbqa_agent.types import EntityMention
from kbqa_agent.wordings import Wordings, object_form, pairs_of

__all__ = [
    "ATTRIBUTE",
    "ENTITY",
    "OBJECT",
    "MaskedQuestion",
    "attribute_features",
    "entity_features",
    "object_features",
    "question_kind",
]

ENTITY = (
    "n_triples", "n_attributes", "full_name", "plain_name", "name_overlap", "description_overlap", "description_said",
    "described", "unheard_of",
)  # fmt: skip
ATTRIBUTE = (
    "verbatim", "attribute_chars", "common_run", "char_recall", "char_precision", "distance", "left_surprise",
    "unasked_surprise", "frequency", "asked", "gain_sum", "gain_max", "gain_whole",
)  # fmt: skip
OBJECT = (
    "object_chars", "object_in_question", "object_is_name", "object_shape", "question_asks", "object_said",
    "left_undescribed", "object_gain", "object_gain_max",
)  # fmt: skip

FAR = 20
"""The distance of an attribute whose name is not in the question, in characters; that of others stays below."""
SAID_CHARS = 40
"""How much of an object is looked through for the question's words."""
ASKS = (
    ("谁", "哪位", "何人", "who"),
    ("什么时候", "何时", "哪年", "哪一年", "哪天", "时间", "日期", "几月", "when"),
    ("哪里", "哪儿", "在哪", "何处", "什么地方", "where"),
    ("多少", "几", "多高", "多大", "多长", "多远", "多重", "howmany", "howmuch"),
    ("哪个", "哪些", "哪种", "哪国", "哪", "which"),
    ("怎么", "怎样", "如何", "how"),
    ("什么", "啥", "what"),
)  # fmt: skip


class MaskedQuestion:
    """A masked question, and how rare its characters and pairs of characters are in the wording of questions."""

    def __init__(self, masked: str, wordings: Wordings) -> None:
        self.masked, self.wordings = masked, wordings
        self.rest = masked.replace(MASK, "")
        rarity = wordings.attributes.rarity
        self.chars = {c: rarity(c) for c in dict.fromkeys(self.rest)}
        self.pairs = {p: rarity(p) for p in pairs_of(masked) if MASK not in p}


def question_kind(question: str) -> int:
    """The number of the first group of `ASKS` that has a word in the question; their number if none has."""
    text = normalize_name(question)
    return next((i for i, words in enumerate(ASKS) if any(w in text for w in words)), len(ASKS))


def entity_features(
    asked: MaskedQuestion, mention: EntityMention, entities: Sequence[Sequence[tuple[str, Triple]]]
) -> NDArray[np.float32]:
    """The features of `ENTITY`, (n_entities, len(ENTITY)); an entity is all its triples with their attributes."""
    said = normalize_name(mention.text)
    rows = []
    for facts in entities:
        plain, description = strip_description(facts[0][1].subject)
        attributes = list(dict.fromkeys(a for a, _ in facts))
        about = "|".join(
            [normalize_name(description), *attributes, *(object_form(t.object).text[:SAID_CHARS] for _, t in facts)]
        )
        rows.append(
            [
                np.log1p(len(facts)),
                np.log1p(len(attributes)),
                *_name(facts[0][1].subject, plain, said),
                *_description(asked, normalize_name(description)),
                sum(rarity for pair, rarity in asked.pairs.items() if pair not in about),
            ]
        )
    return np.array(rows, np.float32)


def _name(name: str, plain: str, said: str) -> list[float]:
    normal = normalize_name(plain)
    shared = 2 * len(set(normal) & set(said)) / max(1, len(set(normal)) + len(set(said)))
    return [normalize_name(name) == said, normal == said, shared]


def _description(asked: MaskedQuestion, description: str) -> list[float]:
    pairs = set(pairs_of(description))
    overlap = sum(p in asked.masked for p in pairs) / len(pairs) if pairs else 0.0
    return [overlap, sum(asked.pairs[p] for p in pairs if p in asked.pairs), bool(description)]


def attribute_features(
    asked: MaskedQuestion, attributes: Sequence[str], frequencies: NDArray[np.float64]
) -> NDArray[np.float32]:
    """The features of `ATTRIBUTE`, (n_attributes, len(ATTRIBUTE)); `frequencies`: log(1 + count), (n_attributes,)."""
    rarity, wordings = asked.wordings.attributes.rarity, asked.wordings
    at_mask = asked.masked.index(MASK)
    lexical = np.zeros((len(attributes), 8), np.float32)
    for i, a in enumerate(attributes):
        found = asked.masked.find(a)
        chars = set(a)
        hit = sum(c in asked.chars for c in chars)
        run = len(a) if found >= 0 else _longest_run(a, asked.rest)
        distance = FAR if found < 0 else min(FAR - 1, abs(found - at_mask))
        left = sum(value for c, value in asked.chars.items() if c not in chars)
        unasked = sum(rarity(c) for c in chars if c not in asked.chars)
        precision = hit / max(1, len(asked.chars))
        lexical[i] = (found >= 0, len(a), run, hit / len(chars), precision, distance, left, unasked)
    counts = np.log1p([wordings.asked.get(a, 0) for a in attributes])
    gains, whole = wordings.attribute_gains(asked.masked, attributes)
    return np.column_stack([lexical, frequencies, counts, *gains, whole]).astype(np.float32)


def _longest_run(a: str, b: str) -> int:
    """Length of the longest run of characters of `a` that stands in `b`."""
    for size in range(min(len(a), len(b)), 0, -1):
        if any(a[i : i + size] in b for i in range(len(a) - size + 1)):
            return size
    return 0


def object_features(
    asked: MaskedQuestion, mention: EntityMention, facts: Sequence[tuple[str, Triple]], kind: int
) -> NDArray[np.float32]:
    """The features of `OBJECT`, (n_triples, len(OBJECT)), of triples with their attributes; `kind`: `question_kind`."""
    said = normalize_name(mention.text)
    described: Mapping[str, set[str]] = {
        t.subject: set(normalize_name(strip_description(t.subject)[1])) for _, t in facts
    }
    forms = [object_form(t.object) for _, t in facts]
    rows = np.zeros((len(facts), len(OBJECT) - 2), np.float32)
    for i, ((attribute, triple), form) in enumerate(zip(facts, forms, strict=True)):
        left = [(c, value) for c, value in asked.chars.items() if c not in attribute]
        start = form.text[:SAID_CHARS]
        rows[i] = (
            np.log1p(len(form.text)),
            len(form.text) > 1 and form.text in asked.masked,
            form.text == said,
            form.shape,
            kind,
            sum(value for c, value in left if c in start),
            sum(value for c, value in left if c not in described[triple.subject]),
        )
    return np.column_stack([rows, *asked.wordings.object_gains(asked.masked, forms)])
