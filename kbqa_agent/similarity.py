"""How near a question comes to an attribute in meaning, by the vectors of a transformer encoder that a user names.

The question's vector is the mean of its tokens outside the mention, so one pass of the encoder serves all mentions.
From the vectors of both sides the mean of training is taken away; then they are normalised. The first number is their
cosine; the second is learnt: a ridge regression from questions to the attributes that answered them.

Reference: Mu and Viswanath 2018, "All-but-the-Top", arXiv:1702.01417 (the mean of all vectors says nothing).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kbqa_agent.text_encoder import TextEncoder, TokenVectors
from kbqa_agent.types import EntityMention

__all__ = ["SIMILARITY", "AskedAttribute", "EncodedTexts", "Similarity"]

SIMILARITY = ("similarity", "learnt_similarity")
SIMILARITY_FILE = "similarity.safetensors"
RIDGE = 1.0
KEPT_QUESTIONS, KEPT_ATTRIBUTES = 16, 100_000


class AskedAttribute(NamedTuple):
    """A question, the mention of the entity that it is about, and the normalised attribute that answers it."""

    question: str
    mention: EntityMention
    attribute: str


class EncodedTexts:
    """An encoder that remembers what it encoded last; the oldest leave first."""

    def __init__(self, encoder: TextEncoder) -> None:
        self.encoder = encoder
        self._questions: dict[str, TokenVectors] = {}
        self._attributes: dict[str, NDArray[np.float32]] = {}
        self._kept_questions, self._kept_attributes = KEPT_QUESTIONS, KEPT_ATTRIBUTES

    def prepare(self, questions: Sequence[str], attributes: Sequence[str]) -> None:
        """Encode all of these at once and keep them, with bars that tell how far it is."""
        self._kept_questions = max(self._kept_questions, len(questions))
        self._kept_attributes = max(self._kept_attributes, len(attributes))
        tokens = self.encoder.token_vectors(questions, "encode questions")
        self._questions.update(zip(questions, tokens, strict=True))
        vectors = self.encoder.vectors(attributes, "encode attributes")
        self._attributes.update(zip(attributes, vectors, strict=True))

    def question(self, question: str) -> TokenVectors:
        """The vectors of a question's tokens."""
        if question not in self._questions:
            self._questions[question] = self.encoder.token_vectors([question])[0]
        found = self._questions[question]
        _forget(self._questions, self._kept_questions)
        return found

    def attributes(self, attributes: Sequence[str]) -> NDArray[np.float32]:
        """The vectors of attributes, (n_attributes, dim)."""
        new = [a for a in dict.fromkeys(attributes) if a not in self._attributes]
        self._attributes.update(zip(new, self.encoder.vectors(new), strict=True))
        found = np.array([self._attributes[a] for a in attributes], np.float32).reshape(-1, self.encoder.dim)
        _forget(self._attributes, self._kept_attributes)
        return found


def _forget(kept: dict[str, TokenVectors] | dict[str, NDArray[np.float32]], limit: int) -> None:
    while len(kept) > limit:
        del kept[next(iter(kept))]


@dataclass(frozen=True)
class Similarity:
    """The means of both sides, (dim,), and the learnt map from questions to attributes, (dim, dim)."""

    texts: EncodedTexts
    question_mean: NDArray[np.float32]
    attribute_mean: NDArray[np.float32]
    projection: NDArray[np.float32]

    @classmethod
    def fit(cls, texts: EncodedTexts, asked: Sequence[AskedAttribute]) -> Similarity:
        """Learn from the questions of training whose attribute is known."""
        dim = texts.encoder.dim
        questions = np.zeros((len(asked), dim), np.float32)
        for i, fact in enumerate(asked):
            vector = texts.question(fact.question).mean_outside(fact.mention.start, fact.mention.end)
            questions[i] = 0.0 if vector is None else vector
        distinct = texts.attributes(list(dict.fromkeys(fact.attribute for fact in asked)))
        question_mean, attribute_mean = (rows.sum(axis=0) / max(1, len(rows)) for rows in (questions, distinct))
        q = _unit(questions - question_mean)
        a = _unit(texts.attributes([fact.attribute for fact in asked]) - attribute_mean)
        projection = np.linalg.solve(q.T @ q + RIDGE * np.eye(dim, dtype=np.float32), q.T @ a)
        return cls(texts, question_mean, attribute_mean, projection.astype(np.float32))

    def table(self, question: str, mentions: Sequence[EntityMention], attributes: Sequence[str]) -> NDArray[np.float32]:
        """The numbers of `SIMILARITY` for each mention and attribute, (n_mentions, n_attributes, 2)."""
        tokens = self.texts.question(question)
        outside = [tokens.mean_outside(m.start, m.end) for m in mentions]
        asked = _unit(np.array([self.question_mean if q is None else q for q in outside]) - self.question_mean)
        named = _unit(self.texts.attributes(attributes) - self.attribute_mean)
        # Products this small take BLAS's threads longer to share than to do, up to 30 ms where other work runs.
        learnt = np.einsum("md,de->me", asked, self.projection)
        return np.stack([np.einsum("md,ad->ma", side, named) for side in (asked, learnt)], axis=2)

    def save(self, folder: Path) -> dict[str, str]:
        """Write what was learnt into a folder, and give the record of the encoder that `load` wants."""
        from safetensors.numpy import save_file

        names = ("question_mean", "attribute_mean", "projection")
        save_file({name: getattr(self, name) for name in names}, folder / SIMILARITY_FILE)
        return {"name": self.texts.encoder.name, "sha256": self.texts.encoder.fingerprint}

    @classmethod
    def load(cls, folder: Path, encoder: TextEncoder) -> Similarity:
        """Read what `save` wrote. Raises: OSError, SafetensorError, TypeError when it is damaged."""
        from safetensors.numpy import load_file

        return cls(EncodedTexts(encoder), **load_file(folder / SIMILARITY_FILE))


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows of length 1; zeros stay zeros."""
    unit: NDArray[np.float32] = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    return unit
