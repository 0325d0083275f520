"""Features of entities, attributes and objects beside a question whose mention is masked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from math import log1p
from typing import NamedTuple

from kb_index.normalize import normalize_name, strip_description
from kb_index.types import Triple
from kbqa_agent.patterns import MASK
from kbqa_agent.types import EntityMention
from kbqa_agent.wordings import ObjectForm, Wordings, pairs_of

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


class SubjectForm(NamedTuple):
    """A name, normalised: all of it, without its description, and the description."""

    whole: str
    plain: str
    description: str


class MaskedQuestion:
    """A masked question, and how rare its characters and pairs of characters are in the wording of questions."""

    def __init__(self, masked: str, wordings: Wordings) -> None:
        self.masked, self.wordings = masked, wordings
        self.rest = masked.replace(MASK, "")
        rarity = wordings.attributes.rarity
        self.chars = {c: rarity(c) for c in dict.fromkeys(self.rest)}
        self.pairs = {p: rarity(p) for p in pairs_of(masked) if MASK not in p}
        self.at_mask = masked.index(MASK)
        self._sum = sum(self.chars.values())

    def shared(self, text: str) -> set[str]:
        """The characters that a text has too."""
        return self.chars.keys() & text

    def rarity(self, chars: Iterable[str]) -> float:
        """The sum of the rarities of some of its characters."""
        return sum([self.chars[c] for c in chars])

    def left(self, without: Iterable[str]) -> float:
        """The sum of the rarities of its characters without some of them."""
        return self._sum - self.rarity(without)


@lru_cache(maxsize=50_000)
def _subject_form(name: str) -> SubjectForm:
    plain, description = strip_description(name)
    return SubjectForm(normalize_name(name), normalize_name(plain), normalize_name(description))


def question_kind(question: str) -> int:
    """The number of the first group of `ASKS` that has a word in the question; their number if none has."""
    text = normalize_name(question)
    return next((i for i, words in enumerate(ASKS) if any(w in text for w in words)), len(ASKS))


def entity_features(
    asked: MaskedQuestion,
    mention: EntityMention,
    entities: Iterable[Sequence[tuple[str, Triple]]],
    forms: Mapping[str, ObjectForm],
) -> Iterator[list[float]]:
    """The features of `ENTITY`, a row for each entity, which is all its triples with their attributes.

    `forms` holds the forms of their objects.
    """
    said = normalize_name(mention.text)
    for facts in entities:
        name = _subject_form(facts[0][1].subject)
        attributes = dict.fromkeys(a for a, _ in facts)
        about = "|".join([name.description, *attributes, *[forms[t.object].text[:SAID_CHARS] for _, t in facts]])
        yield [
            log1p(len(facts)),
            log1p(len(attributes)),
            *_name(name, said),
            *_description(asked, name.description),
            sum([rarity for pair, rarity in asked.pairs.items() if pair not in about]),
        ]


def _name(name: SubjectForm, said: str) -> list[float]:
    chars, said_chars = set(name.plain), set(said)
    shared = 2 * len(chars & said_chars) / max(1, len(chars) + len(said_chars))
    return [name.whole == said, name.plain == said, shared]


def _description(asked: MaskedQuestion, description: str) -> list[float]:
    if not description:
        return [0.0, 0.0, False]
    pairs = dict.fromkeys(pairs_of(description))
    overlap = sum([p in asked.masked for p in pairs]) / len(pairs) if pairs else 0.0
    return [overlap, sum([asked.pairs[p] for p in pairs if p in asked.pairs]), True]


def attribute_features(asked: MaskedQuestion, attribute: str) -> tuple[float, ...]:
    """Those of `ATTRIBUTE` that compare its name with the question: the first eight."""
    found = asked.masked.find(attribute)
    chars, shared = set(attribute), asked.shared(attribute)
    verbatim, hit = found >= 0, len(shared)
    run = len(attribute) if verbatim else _longest_run(attribute, asked.rest) if hit else 0
    distance = min(FAR - 1, abs(found - asked.at_mask)) if verbatim else FAR
    left, unasked = asked.left(shared), sum(map(asked.wordings.attributes.rarity, chars - shared))
    precision = hit / max(1, len(asked.chars))
    return verbatim, len(attribute), run, hit / len(chars), precision, distance, left, unasked


def _longest_run(a: str, b: str) -> int:
    """Length of the longest run of characters of `a` that stands in `b`."""
    for size in range(min(len(a), len(b)), 0, -1):
        if any(a[i : i + size] in b for i in range(len(a) - size + 1)):
            return size
    return 0


def object_features(
    asked: MaskedQuestion,
    mention: EntityMention,
    facts: Sequence[tuple[str, Triple]],
    kind: int,
    forms: Mapping[str, ObjectForm],
) -> Iterator[tuple[float, ...]]:
    """Those of `OBJECT` but for the gains, a row for each triple, given with its attribute.

    `kind` is the question's `question_kind`; `forms` holds the forms of the objects.
    """
    said = normalize_name(mention.text)
    described = {name: _subject_form(name).description for name in dict.fromkeys(t.subject for _, t in facts)}
    for attribute, triple in facts:
        form, shared = forms[triple.object], asked.shared(attribute)
        start, description = form.text[:SAID_CHARS], described[triple.subject]
        yield (
            log1p(len(form.text)),
            len(form.text) > 1 and form.text in asked.masked,
            form.text == said,
            form.shape,
            kind,
            asked.rarity(asked.shared(start) - shared),
            asked.left(shared | asked.shared(description) if description else shared),
        )
