"""What training questions tell of wording: translation models of attributes and of objects.

An attribute is read as its name, its characters and its pairs of characters (谁写的 ~ 作者, and so 原作者); an object
as its shape, its length and its ends (多高 ~ a number that ends in 米). Beside them stands how often each attribute was
asked for and, if the user names an encoder, how near questions come to attributes in meaning.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kb_index.normalize import normalize_name
from kbqa_agent.asked_for import AskedFor
from kbqa_agent.patterns import NOTHING, Gains, TranslationModel
from kbqa_agent.similarity import Similarity
from kbqa_agent.together import NOTHING_TOGETHER, Together

__all__ = ["AskedFact", "ObjectForm", "Wordings", "attribute_parts", "object_form", "pairs_of"]

MODELS = ("patterns", "objects")
ASKED_FILE = "asked.json"
DIGITS = re.compile(r"[\d.,]+")
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


class AskedFact(NamedTuple):
    """A masked question, and the normalised attribute and the object that answer it."""

    masked: str
    attribute: str
    value: str


class ObjectForm(NamedTuple):
    """An object's normalised text, the number of its shape (`SHAPES`; their number if none fits), and its parts."""

    text: str
    shape: int
    parts: tuple[str, ...]


@lru_cache(maxsize=50_000)
def attribute_parts(attribute: str) -> tuple[str, ...]:
    """What an attribute is read as: nothing, its whole name (marked), its characters, its pairs of characters.

    >>> attribute_parts("作者")
    ('', '=作者', '作', '者', '作者')
    """
    return tuple(dict.fromkeys([NOTHING, "=" + attribute, *attribute, *pairs_of(attribute)]))


@lru_cache(maxsize=50_000)
def object_form(value: str) -> ObjectForm:
    """How an object looks.

    >>> object_form("226 cm").parts
    ('', 's2', 'n1', '...m', '...cm', '2...')
    """
    text = normalize_name(value)
    shape = next((i for i, pattern in enumerate(SHAPES) if pattern.match(value)), len(SHAPES))
    ends = DIGITS.sub("0", text[-12:])[-2:]
    length = min(len(text), 30) // 3
    parts = (NOTHING, f"s{shape}", f"n{length}", f"...{ends[-1:]}", f"...{ends}", f"{text[:1]}...")
    return ObjectForm(text, shape, tuple(dict.fromkeys(parts)))


def pairs_of(text: str) -> list[str]:
    """The pairs of neighbouring characters of a text, in order."""
    return [text[i : i + 2] for i in range(len(text) - 1)]


@dataclass(frozen=True)
class Wordings:
    """Two translation models, the number of training questions that asked for each attribute, perhaps a similarity.

    The similarity is saved and opened apart, as it needs its encoder.
    """

    attributes: TranslationModel
    objects: TranslationModel
    asked: Mapping[str, int]
    similarity: Similarity | None = None
    together: Together = NOTHING_TOGETHER
    """Which attributes entities have together: of the knowledge base, not of the questions."""

    @classmethod
    def fit(cls, facts: Iterable[AskedFact], together: Together = NOTHING_TOGETHER) -> Wordings:
        """Learn from the questions of training whose triple is known."""
        listed = list(facts)
        return cls(
            TranslationModel.fit((f.masked, attribute_parts(f.attribute)) for f in listed),
            TranslationModel.fit(((f.masked, object_form(f.value).parts) for f in listed), 2),
            Counter(f.attribute for f in listed),
            together=together,
        )

    def save(self, folder: Path) -> None:
        """Write the models and the counts into a folder."""
        for name, model in zip(MODELS, (self.attributes, self.objects), strict=True):
            model.save(folder, name)
        (folder / ASKED_FILE).write_text(json.dumps(self.asked, ensure_ascii=False), encoding="utf-8")
        self.together.save(folder)

    @classmethod
    def load(cls, folder: Path) -> Wordings:
        """Read what `save` wrote."""
        asked = json.loads((folder / ASKED_FILE).read_text(encoding="utf-8"))
        attributes, objects = (TranslationModel.load(folder, name) for name in MODELS)
        return cls(attributes, objects, asked, together=Together.load(folder))

    @cached_property
    def asked_for(self) -> AskedFor:
        """What tells which of all asked attributes a question asks for; made when it is first used."""
        return AskedFor(self.attributes, self.asked, {a: attribute_parts(a) for a in self.asked}, self.together)

    def attribute_gains(
        self, masked: Sequence[str], attributes: Sequence[str], asked: NDArray[np.int64], attribute: NDArray[np.int64]
    ) -> tuple[Gains, NDArray[np.float32]]:
        """The gains of attributes beside masked questions, given by the numbers of both, (n_pairs,) each.

        Beside them the sum by the whole name alone, which tells how this very attribute was asked for.
        """
        things = [*map(attribute_parts, attributes), *[("=" + a,) for a in attributes]]
        both = np.concatenate([attribute, attribute + len(attributes)])
        total, best = self.attributes.gains_many(masked, things, np.concatenate([asked, asked]), both)
        n = len(attribute)
        return Gains(total[:n], best[:n]), total[n:]

    def object_gains(
        self, masked: Sequence[str], forms: Sequence[ObjectForm], asked: NDArray[np.int64], form: NDArray[np.int64]
    ) -> Gains:
        """The gains of objects beside masked questions, given by the numbers of both, by the parts that training knew.

        A rare last character says nothing.
        """
        ids = self.objects.part_ids
        known = [[p for p in f.parts if p in ids] or [NOTHING] for f in forms]
        return self.objects.gains_many(masked, known, asked, form)
