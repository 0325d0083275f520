"""What the ranker sees of a candidate triple: one row of numbers for each, in five groups.

*mention*: how much of the question the name takes, and whether it stands apart. *entity*: how well known it is, and
whether its bracketed description is in the question. *attribute*: how its name fits the rest of the question, by
characters and by the translation model. *object*: its shape, beside what the question word asks for. *relative*: the
strongest of these as distances from the best candidate of the same question.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from kb_index.normalize import QUOTES, normalize_attribute, normalize_name, strip_description
from kb_index.types import Triple
from kbqa_agent.patterns import MASK, TranslationModel
from kbqa_agent.types import EntityMention

__all__ = ["FEATURES", "candidate_features", "mask_mention"]

MENTION = ("chars", "share", "quoted", "inside_longer", "n_entities", "at_start", "cuts_word", "name_surprise")
ENTITY = ("n_triples", "full_name", "plain_name", "description_overlap", "described")
ATTRIBUTE = (
    "verbatim", "attribute_chars", "common_run", "char_recall", "char_precision", "distance", "left_surprise",
    "frequency", "gain_sum", "gain_max", "gain_whole",
)  # fmt: skip
OBJECT = ("n_values", "object_chars", "object_in_question", "object_is_name", "object_shape", "question_asks")
RELATIVE = {
    "chars_below_best": "chars",
    "surprise_below_best": "name_surprise",
    "recall_below_best": "char_recall",
    "run_below_best": "common_run",
    "gain_below_best": "gain_sum",
    "whole_below_best": "gain_whole",
}
FEATURES = (*MENTION, *ENTITY, *ATTRIBUTE, *OBJECT, *RELATIVE, "left_above_best")

FAR = 20
"""The distance of an attribute whose name is not in the question, in characters; that of others stays below."""
PUNCTUATION = re.compile(r"[_?？!！。，,、;；:：\"“”'‘’《》「」『』【】]+")
ASKS = (
    ("谁", "哪位", "何人", "who"),
    ("什么时候", "何时", "哪年", "哪一年", "哪天", "时间", "日期", "几月", "when"),
    ("哪里", "哪儿", "在哪", "何处", "什么地方", "where"),
    ("多少", "几", "多高", "多大", "多长", "多远", "多重", "howmany", "howmuch"),
    ("哪个", "哪些", "哪种", "哪国", "哪", "which"),
    ("怎么", "怎样", "如何", "how"),
    ("什么", "啥", "what"),
)  # fmt: skip
SHAPES = (
    re.compile(r"^(约|公元)?前?\d{1,4}\s*[年./-]\s*(\d{1,2}\s*([月./-]\s*(\d{1,2}日?)?)?)?"),
    re.compile(r"^[约近]?[\d.,+%～~-]+$"),
    re.compile(r"^[约近]?[\d.,]+.{1,6}$"),
    re.compile(r"^[\x00-\x7f\u00c0-\u024f]+$"),
    re.compile(r"^[\u4e00-\u9fff]{2,4}$"),
    re.compile(r"^.*(省|市|县|区|镇|乡|村|州|国|路|街|洲)$"),
    re.compile(r"^[^、，；,;]{1,12}$"),
    re.compile(r"^.{1,40}$"),
)

attribute_of = lru_cache(maxsize=200_000)(normalize_attribute)


def mask_mention(question: str, mention: EntityMention) -> str:
    """The normalised question with the mention (and marks around it) as one mask, without punctuation.

    >>> mask_mention("《坛经》是谁写的？", EntityMention("坛经", 1, 3, ()))
    '_是谁写的'
    """
    before, after = question[: mention.start], question[mention.end :]
    return PUNCTUATION.sub("", normalize_name(before)) + MASK + PUNCTUATION.sub("", normalize_name(after))


def candidate_features(
    question: str,
    mentions: Sequence[EntityMention],
    triples: Sequence[Triple],
    model: TranslationModel,
    frequency: Callable[[Sequence[str]], NDArray[np.int64]],
) -> NDArray[np.float32]:
    """Features of each triple, (n_triples, len(FEATURES)); `frequency` counts attributes in the knowledge base."""
    if not len(triples):
        return np.zeros((0, len(FEATURES)), np.float32)
    attributes = [attribute_of(t.predicate) for t in triples]
    counted = {a: i for i, a in enumerate(dict.fromkeys(attributes))}
    frequencies = np.log1p(frequency(list(counted)))
    n_values = Counter((t.subject_id, a) for t, a in zip(triples, attributes, strict=True))
    degree = Counter(t.subject_id for t in triples)
    asks = _asks(normalize_name(question))
    rows = np.zeros((len(triples), len(MENTION) + len(ENTITY) + len(ATTRIBUTE) + len(OBJECT)), np.float32)
    for number, at in _triples_by_mention(mentions, triples).items():
        mention, masked = mentions[number], mask_mention(question, mentions[number])
        subjects = {triples[i].subject_id: triples[i].subject for i in at}
        of_mention = _mention_features(question, mention, mentions, model)
        of_entity = {s: _entity_features(name, mention, masked, degree[s]) for s, name in subjects.items()}
        row_of = {a: i for i, a in enumerate(dict.fromkeys(attributes[i] for i in at))}
        of_attribute = _attribute_features(masked, list(row_of), model, frequencies[[counted[a] for a in row_of]])
        for i in at:
            t, a = triples[i], attributes[i]
            of_object = _object_features(t, mention, masked, asks)
            rows[i] = (
                *of_mention,
                *of_entity[t.subject_id],
                *of_attribute[row_of[a]],
                n_values[t.subject_id, a],
                *of_object,
            )
    return np.hstack([rows, _relative_features(rows)])


def _triples_by_mention(mentions: Sequence[EntityMention], triples: Sequence[Triple]) -> dict[int, list[int]]:
    """Which triples belong to which mention; an entity found by several belongs to the first (the longest)."""
    mention_of: dict[int, int] = {}
    for number, mention in enumerate(mentions):
        for entity in mention.entities:
            mention_of.setdefault(entity.id, number)
    found: dict[int, list[int]] = {}
    for i, t in enumerate(triples):
        found.setdefault(mention_of[t.subject_id], []).append(i)
    return found


def _mention_features(
    question: str, mention: EntityMention, mentions: Sequence[EntityMention], model: TranslationModel
) -> list[float]:
    before = question[mention.start - 1 : mention.start]
    after = question[mention.end : mention.end + 1]
    quoted = QUOTES.get(before) == after
    longest = max((m.end - m.start for m in mentions if m.start <= mention.start and mention.end <= m.end), default=0)
    size = mention.end - mention.start
    cuts = (_wordlike(before) and _wordlike(mention.text[:1])) or (_wordlike(after) and _wordlike(mention.text[-1:]))
    surprise = sum(model.surprise(c) for c in set(normalize_name(mention.text)))
    apart = mention.start == 0
    return [size, size / len(question), quoted, longest - size, np.log1p(len(mention.entities)), apart, cuts, surprise]


def _wordlike(char: str) -> bool:
    return char.isascii() and char.isalnum()


def _entity_features(name: str, mention: EntityMention, masked: str, degree: int) -> list[float]:
    plain, description = strip_description(name)
    said, text = normalize_name(mention.text), normalize_name(description)
    pairs = {text[i : i + 2] for i in range(len(text) - 1)}
    overlap = sum(p in masked for p in pairs) / len(pairs) if pairs else 0.0
    return [np.log1p(degree), normalize_name(name) == said, normalize_name(plain) == said, overlap, bool(description)]


def _attribute_features(
    masked: str, attributes: Sequence[str], model: TranslationModel, frequencies: NDArray[np.float64]
) -> NDArray[np.float32]:
    """The features of `ATTRIBUTE`, (n_attributes, len(ATTRIBUTE)); `frequencies`: log(1 + count), (n_attributes,)."""
    surprise = {c: model.surprise(c) for c in masked if c != MASK}
    rest = "".join(c for c in masked if c != MASK)
    at_mask = masked.index(MASK)
    lexical = np.zeros((len(attributes), 7), np.float32)
    for i, a in enumerate(attributes):
        found = masked.find(a)
        chars = set(a)
        hit = sum(c in surprise for c in chars)
        run = len(a) if found >= 0 else _longest_run(a, rest)
        distance = FAR if found < 0 else min(FAR - 1, abs(found - at_mask))
        left = sum(value for c, value in surprise.items() if c not in chars)
        lexical[i] = (found >= 0, len(a), run, hit / len(chars), hit / max(1, len(surprise)), distance, left)
    return np.column_stack([lexical, frequencies, *model.gains(masked, attributes)]).astype(np.float32)


def _longest_run(a: str, b: str) -> int:
    """Length of the longest run of characters of `a` that stands in `b`."""
    for size in range(min(len(a), len(b)), 0, -1):
        if any(a[i : i + size] in b for i in range(len(a) - size + 1)):
            return size
    return 0


def _object_features(triple: Triple, mention: EntityMention, masked: str, asks: int) -> list[float]:
    value = normalize_name(triple.object)
    shape = next((i for i, pattern in enumerate(SHAPES) if pattern.match(triple.object)), len(SHAPES))
    return [
        np.log1p(len(value)),
        len(value) > 1 and value in masked,
        value == normalize_name(mention.text),
        shape,
        asks,
    ]


def _asks(question: str) -> int:
    return next((i for i, words in enumerate(ASKS) if any(w in question for w in words)), len(ASKS))


def _relative_features(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """How far each triple is from the question's best, (n_triples, len(RELATIVE) + 1)."""
    column = {name: rows[:, i] for i, name in enumerate(FEATURES[: rows.shape[1]])}
    below = [column[source].max() - column[source] for source in RELATIVE.values()]
    left = column["left_surprise"]
    return np.column_stack([*below, left - left.min()])
