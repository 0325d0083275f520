"""The vectors of `char-static` in array arithmetic, many times faster than a tokenizer that looks at each text.

A text's vector is the sum of its characters' vectors, so a chunk of texts is one sparse matrix of characters times the
table. Only texts for which the tokenizer would do more than look characters up are left to it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["CharacterTable", "count_characters"]

MAX_CHARS = 256
"""Longer texts are left to the tokenizer, which cuts them at 512 tokens; a character becomes at most two."""

CHUNK_ROWS = 100_000

_UNSEEN, _NOTHING, _SEVERAL = -3, -2, -1
"""What the table of rows holds beside rows: not asked yet; a blank or unknown character; more than one token."""


class CharacterTable:
    """The vectors of single characters, found by code point."""

    def __init__(self, vectors: NDArray[np.float32], tokenize: Callable[[list[str]], list[list[int]]]) -> None:
        """Take the vectors, (n_tokens, dim), and what gives each text's rows in them, unknown ones left out."""
        self._vectors, self._tokenize = vectors, tokenize
        self._rows = np.full(0x110000, _UNSEEN, dtype=np.int32)

    def encode(
        self, texts: Sequence[str], fall_back: Callable[[Sequence[str]], NDArray[np.float32]]
    ) -> NDArray[np.float32]:
        """Encode texts as rows of shape (n_texts, dim), L2-normalised; those left to the tokenizer by `fall_back`."""
        vectors = np.empty((len(texts), self._vectors.shape[1]), dtype=np.float32)
        for start in range(0, len(texts), CHUNK_ROWS):
            chunk = texts[start : start + CHUNK_ROWS]
            out = vectors[start : start + CHUNK_ROWS]
            left = self._encode_chunk(chunk, out)
            if len(left):
                out[left] = fall_back([chunk[i] for i in left.tolist()])
        return vectors

    def _encode_chunk(self, texts: Sequence[str], out: NDArray[np.float32]) -> NDArray[np.intp]:
        """Fill the rows of `out` and give the numbers of the texts that have to be done otherwise."""
        from scipy.sparse import csr_matrix

        lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
        starts = np.concatenate(([0], np.cumsum(lengths)))
        rows = self._rows_of("".join(texts))
        known = rows >= 0
        weights = known.astype(np.float32)
        counts = csr_matrix((weights, np.where(known, rows, 0), starts), shape=(len(texts), len(self._vectors)))
        sums = counts @ self._vectors
        out[:] = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), np.float32(1e-30))
        left = (lengths > MAX_CHARS) | _not_composed(texts)
        left[np.searchsorted(starts, np.flatnonzero(rows == _SEVERAL), side="right") - 1] = True
        return np.flatnonzero(left)

    def _rows_of(self, text: str) -> NDArray[np.int32]:
        codes = _code_points(text)
        rows = self._rows[codes]
        if (rows == _UNSEEN).any():
            new = np.unique(codes[rows == _UNSEEN]).tolist()
            for code, tokens in zip(new, self._tokenize([chr(code) for code in new]), strict=True):
                self._rows[code] = _NOTHING if not tokens else tokens[0] if len(tokens) == 1 else _SEVERAL
            rows = self._rows[codes]
        return rows


def count_characters(texts: Sequence[str]) -> NDArray[np.int64]:
    """Count how often each code point occurs, (0x110000,)."""
    return np.bincount(_code_points("".join(texts)), minlength=0x110000)


def _code_points(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)


def _not_composed(texts: Sequence[str]) -> NDArray[np.bool_]:
    """Say for each text whether NFKC would change it; a line break keeps neighbours from combining."""
    if unicodedata.is_normalized("NFKC", "\n".join(texts)):
        return np.zeros(len(texts), dtype=np.bool_)
    return np.array([not unicodedata.is_normalized("NFKC", text) for text in texts], dtype=np.bool_)
