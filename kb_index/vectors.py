"""Nearest names by cosine: FAISS indexes over unit vectors, exact when small, inverted lists when large.

Every step is seeded, so the same vectors give the same index with as many threads; another number rounds otherwise.
The files are memory-mapped when they are opened. This module knows vectors and ids only, neither names nor entities.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from itertools import compress, islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kb_index.encoder import Encoder

__all__ = ["VectorIndex", "build_vectors", "empty_index"]

FLAT_ROWS = 20_000
"""Up to so many vectors are kept as floats."""

SCAN_ROWS = 300_000
"""Up to so many vectors are all compared, as one byte a dimension; more are divided into lists, as half a byte."""

MAX_LISTS = 2048
"""Choosing a list is most of the work of adding a vector, and grows with the number of lists."""

PROBED_ROWS = 600_000
"""As many lists are searched as hold so many vectors, in 2 ms or so: a tenth of 6.5 million."""

TRAIN_ROWS = 20_000
TRAIN_ROWS_PER_LIST = 50
TRAIN_ROUNDS = 10
ENCODE_ROWS = 100_000


def build_vectors(
    texts: Collection[str], ids: NDArray[np.int64], encoder: Encoder, seed: int, on_rows: Callable[[int], object]
) -> VectorIndex:
    """Encode texts and index them under their ids, (n_texts,); `on_rows` is told how many were added.

    The texts are gone through once, and once more before that where an index of this size has to be trained.
    """
    index = empty_index(texts, encoder, seed)
    index.add(texts, ids, encoder, on_rows)
    return index


def empty_index(texts: Collection[str], encoder: Encoder, seed: int) -> VectorIndex:
    """Make the index that is right for so many texts, trained on some of them, without any in it.

    Copies of it can be filled apart: together they find what one that holds all texts does.
    """
    index = _empty_index(len(texts), encoder.dim)
    if not index.is_trained:
        index.train(encoder.encode(_sample(texts, seed)))
    return VectorIndex(index)


def _chunks(texts: Iterable[str]) -> Iterator[list[str]]:
    remaining = iter(texts)
    while chunk := list(islice(remaining, ENCODE_ROWS)):
        yield chunk


def _sample(texts: Collection[str], seed: int) -> list[str]:
    """Draw what an index is trained on, in the order of the texts."""
    rows = min(len(texts), max(TRAIN_ROWS, TRAIN_ROWS_PER_LIST * _lists(len(texts))))
    drawn = np.zeros(len(texts), dtype=np.bool_)
    drawn[np.random.default_rng(seed).choice(len(texts), size=rows, replace=False)] = True
    return list(compress(texts, drawn))


def _lists(n_rows: int) -> int:
    return min(MAX_LISTS, math.isqrt(n_rows))


def _empty_index(n_rows: int, dim: int) -> Any:
    import faiss

    lists = _lists(n_rows)
    kind = "IDMap,Flat" if n_rows <= FLAT_ROWS else "IDMap,SQ8" if n_rows <= SCAN_ROWS else f"IVF{lists},SQ4"
    index: Any = faiss.index_factory(dim, kind, faiss.METRIC_INNER_PRODUCT)
    if n_rows > SCAN_ROWS:
        # FAISS seeds its k-means with a constant of its own; fewer rounds than its 25 lose nothing measurable.
        index.cp.niter = TRAIN_ROUNDS
        index.nprobe = min(lists, math.ceil(lists * PROBED_ROWS / n_rows))
    return index


class VectorIndex:
    """Vectors under integer ids; searching is safe from several threads."""

    def __init__(self, index: Any) -> None:
        self._index = index

    @classmethod
    def open(cls, path: Path) -> VectorIndex:
        """Open a saved index without reading it into memory, where its kind allows that."""
        import faiss

        return cls(faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC))

    @classmethod
    def load(cls, path: Path) -> VectorIndex:
        """Read a saved index into memory, where more can be added to it."""
        import faiss

        return cls(faiss.read_index(str(path)))

    def add(
        self, texts: Iterable[str], ids: NDArray[np.int64], encoder: Encoder, on_rows: Callable[[int], object]
    ) -> None:
        """Encode texts and add them under their ids, (n_texts,); `on_rows` is told how many were added."""
        start = 0
        for chunk in _chunks(texts):
            self._index.add_with_ids(encoder.encode(chunk), ids[start : start + len(chunk)])
            start += len(chunk)
            on_rows(len(chunk))

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def dim(self) -> int:
        """The number of dimensions of the vectors."""
        return int(self._index.d)

    def save(self, path: Path) -> None:
        """Write the index to a file."""
        import faiss

        # Through Python, so that a full disk is an OSError and not an abort inside FAISS.
        path.write_bytes(faiss.serialize_index(self._index).data)

    def search(self, vectors: NDArray[np.float32], k: int) -> list[list[tuple[int, float]]]:
        """Find for each row of (n_queries, dim) at most k pairs of id and cosine, best first; none for zeros.

        The cosines are those of the vectors as they are kept; in a large index they are off by 0.02 on average.
        """
        with _threads_for(len(vectors)):
            scores, ids = self._index.search(np.ascontiguousarray(vectors, dtype=np.float32), k)
        known = np.linalg.norm(vectors, axis=1) > 0
        return [
            [(i, score) for i, score in zip(row_ids, row_scores, strict=True) if i >= 0] if is_known else []
            for row_ids, row_scores, is_known in zip(ids.tolist(), scores.tolist(), known, strict=True)
        ]


@contextmanager
def _threads_for(n_queries: int) -> Iterator[None]:
    """Let FAISS use no more threads than queries: an idle one is waited for, which takes 12 ms on a busy machine."""
    import faiss

    n_threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(max(1, min(n_threads, n_queries)))  # of this thread's searches only
    try:
        yield
    finally:
        faiss.omp_set_num_threads(n_threads)
