"""Texts to vectors: the `Encoder` protocol, the default static encoder, and any other by name.

The default, `char-static`, is made from the characters of the knowledge base itself: a fixed random direction for each
character, weighted down where the character is common. It needs no download and no torch, and it finds names that
share characters, not meanings; it is saved in the format of model2vec, which also loads any other static model.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from kb_index.characters import CharacterTable, count_characters
from kb_index.errors import MissingExtraError, ModelError

__all__ = [
    "CHAR_STATIC",
    "Encoder",
    "StaticEncoder",
    "build_char_static",
    "copy_static_encoder",
    "load_encoder",
    "open_encoder",
]

CHAR_STATIC = "char-static"
CHAR_STATIC_DIM = 64
"""Among 6.5 million names the right one is in the nearest 300 of a misspelt one with 64 dimensions, as with 128."""

SMOOTHING = 3e-2
"""`a` in the weight a / (a + p(character)); with the usual 1e-3, 92 % are found instead of 99 %."""

COUNTED_AT_ONCE = 100_000
_MODEL_FILE = "model.safetensors"
_UNKNOWN = "[UNK]"


class Encoder(Protocol):
    """Turns texts into unit vectors."""

    name: str
    dim: int

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode texts as rows of shape (n_texts, dim), L2-normalised; zeros for a text with no known character."""


class StaticEncoder:
    """A folder in the format of model2vec: the mean of the vectors of a text's tokens."""

    def __init__(self, name: str, folder: Path) -> None:
        """Load the model.

        Raises:
            ModelError: the folder holds no model that model2vec can load.
        """
        from model2vec import StaticModel

        try:
            self._model: Any = StaticModel.from_pretrained(folder, normalize=True)
        except Exception as error:
            raise ModelError(f"encoder {name!r}: {folder} is no model2vec model ({error}); check the folder") from error
        self.name = name
        self.dim = int(self._model.dim)
        by_character = self._model.config.get("tokenizer_name") == CHAR_STATIC
        self._characters = CharacterTable(self._model.embedding, self._model.tokenize) if by_character else None

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode texts as rows of shape (n_texts, dim), L2-normalised; zeros for a text with no known token."""
        return self._characters.encode(texts, self._encode) if self._characters else self._encode(texts)

    def _encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if not texts:
            return np.zeros((0, self.dim), dtype=np.float32)
        return np.asarray(self._model.encode(list(texts)), dtype=np.float32)


class _SentenceEncoder:
    """A SentenceTransformer, from a folder or by its name on the hub."""

    def __init__(self, name: str) -> None:
        try:
            library: Any = import_module("sentence_transformers")
        except ImportError as error:
            raise MissingExtraError("models", "sentence-transformers") from error
        try:
            self._model: Any = library.SentenceTransformer(name)
        except Exception as error:
            reason = str(error).split("\n", 1)[0]
            raise ModelError(
                f"encoder {name!r}: cannot be loaded ({reason}); give a folder or a model's name"
            ) from error
        self.name = name
        self.dim = int(self._model.encode([name], show_progress_bar=False).shape[1])

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode texts as rows of shape (n_texts, dim), L2-normalised."""
        vectors = self._model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(vectors, dtype=np.float32).reshape(len(texts), self.dim)


def build_char_static(texts: Iterable[str], folder: Path, seed: int, dim: int = CHAR_STATIC_DIM) -> None:
    """Make a static encoder from normalised texts and save it to a folder in the format of model2vec.

    Reference: the weights are those of Arora, Liang and Ma 2017, "A Simple but Tough-to-Beat Baseline for Sentence
    Embeddings", section 3, over characters instead of words.
    """
    from model2vec import StaticModel

    counts = np.zeros(0x110000, dtype=np.int64)
    remaining = iter(texts)
    while chunk := list(islice(remaining, COUNTED_AT_ONCE)):
        counts += count_characters(chunk)
    characters = [chr(code) for code in np.flatnonzero(counts)]
    weights = SMOOTHING / (SMOOTHING + counts[counts > 0] / max(1, counts.sum()))
    vectors = np.random.default_rng(seed).standard_normal((len(characters) + 1, dim))
    vectors *= np.r_[0.0, weights][:, None] / np.linalg.norm(vectors, axis=1, keepdims=True)
    tokenizer = _character_tokenizer(characters)
    model = StaticModel(vectors.astype(np.float32), tokenizer, config={"tokenizer_name": CHAR_STATIC}, normalize=True)
    model.save_pretrained(folder)
    (folder / "README.md").unlink()  # a card that tells how to get the model from a hub, where it is not


def _character_tokenizer(characters: Sequence[str]) -> Any:
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

    vocabulary = {_UNKNOWN: 0} | {character: i for i, character in enumerate(characters, start=1)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=_UNKNOWN))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Lowercase(), normalizers.Replace(Regex(r"\s+"), "")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), behavior="isolated")
    return tokenizer


def open_encoder(name: str, folder: Path) -> Encoder:
    """Load the encoder that an index was made with: from its own folder where it is there, else by name."""
    return StaticEncoder(name, folder) if (folder / _MODEL_FILE).is_file() else load_encoder(name)


def load_encoder(name: str) -> Encoder:
    """Load an encoder that the user names: a model2vec folder, or any SentenceTransformer.

    Raises:
        MissingExtraError: it needs sentence-transformers, which is not installed.
        ModelError: it cannot be loaded.
    """
    return StaticEncoder(name, Path(name)) if _is_static(Path(name)) else _SentenceEncoder(name)


def _is_static(folder: Path) -> bool:
    """Whether a folder is model2vec's; it holds a SentenceTransformer's files too, but names its tensor otherwise."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(folder / _MODEL_FILE, framework="numpy") as tensors:
            return "embeddings" in tensors.keys()  # noqa: SIM118 - an open file is not iterable
    except (OSError, SafetensorError):
        return False


def copy_static_encoder(name: str, folder: Path) -> None:
    """Copy a model2vec model into an index, so that the index does not depend on a path outside it."""
    for file in (_MODEL_FILE, "config.json", "tokenizer.json"):
        shutil.copyfile(Path(name) / file, folder / file)
