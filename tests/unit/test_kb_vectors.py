"""Nearest vectors: exact when there are few, near enough when there are many, and the same on every build."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from kb_index import vectors
from kb_index.vectors import VectorIndex, build_vectors


class Compass:
    """Text "N" is the unit vector at N degrees, so that cosines can be worked out by hand."""

    name = "compass"
    dim = 2

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        angles = np.radians([float(text) for text in texts])
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def build(texts: Sequence[str], first_id: int = 0) -> VectorIndex:
    ids = np.arange(first_id, first_id + len(texts), dtype=np.int64)
    return build_vectors(texts, ids, Compass(), 0, lambda _: None)


def search(index: VectorIndex, text: str, k: int) -> list[tuple[int, float]]:
    return index.search(Compass().encode([text]), k)[0]


def test_the_nearest_come_first_with_their_cosine_under_their_own_id():
    found = search(build(["0", "60", "90", "180"], first_id=100), "0", 3)
    assert [i for i, _ in found] == [100, 101, 102]
    assert [score for _, score in found] == pytest.approx([1, 0.5, 0], abs=1e-6)


def test_fewer_than_k_and_none_at_all():
    assert len(search(build(["0", "90"]), "0", 5)) == 2
    assert search(build([]), "0", 5) == []
    assert build(["0"]).search(np.zeros((0, 2), dtype=np.float32), 5) == []
    assert build(["0"]).search(np.zeros((1, 2), dtype=np.float32), 5) == [[]]


def test_progress_counts_every_row(monkeypatch):
    monkeypatch.setattr(vectors, "ENCODE_ROWS", 3)
    added = []
    build_vectors([str(i) for i in range(8)], np.arange(8), Compass(), 0, added.append)
    assert added == [3, 3, 2]


@pytest.mark.parametrize("limits", [(1000, 2000), (10, 1000), (10, 100)], ids=["floats", "bytes", "lists"])
def test_every_size_of_index_finds_the_same_saved_and_opened(tmp_path, monkeypatch, limits):
    monkeypatch.setattr(vectors, "FLAT_ROWS", limits[0])
    monkeypatch.setattr(vectors, "SCAN_ROWS", limits[1])
    texts = [str(i) for i in range(0, 360)]
    index = build(texts)
    index.save(tmp_path / "a.faiss")
    build(texts).save(tmp_path / "b.faiss")
    opened = VectorIndex.open(tmp_path / "a.faiss")
    assert (tmp_path / "a.faiss").read_bytes() == (tmp_path / "b.faiss").read_bytes()
    assert (len(opened), opened.dim) == (360, 2)
    found = search(opened, "77.4", 3)
    assert {i for i, _ in found} <= set(range(74, 81))
    assert found == search(index, "77.4", 3)
    assert found[0][1] == pytest.approx(1, abs=0.02)


def test_large_indexes_take_half_a_byte_a_dimension(tmp_path, monkeypatch):
    monkeypatch.setattr(vectors, "FLAT_ROWS", 10)
    monkeypatch.setattr(vectors, "SCAN_ROWS", 100)
    build([str(i % 360) for i in range(5000)]).save(tmp_path / "entities.faiss")
    # 2 dimensions of 4 bits and an id of 8 bytes for each vector, and 70 lists with their centres.
    assert (tmp_path / "entities.faiss").stat().st_size < 5000 * (1 + 8) + 70 * 100


def test_texts_may_be_any_collection(monkeypatch):
    monkeypatch.setattr(vectors, "ENCODE_ROWS", 3)
    texts = dict.fromkeys(str(i) for i in range(0, 100, 10))
    index = build_vectors(texts.keys(), np.arange(10), Compass(), 0, lambda _: None)
    assert search(index, "52", 1)[0][0] == 5


def test_what_is_probed_bounds_the_work_and_not_the_number_of_lists():
    assert vectors._empty_index(6_500_000, 2).nprobe == 190
    assert vectors._empty_index(588_000, 2).nprobe == 766


@pytest.mark.parametrize(("n_queries", "expected"), [(1, 1), (2, 2), (5, 3)])
def test_a_search_has_no_more_threads_than_queries(n_queries, expected):
    import faiss

    class Watching:
        def search(self, vectors, k):
            seen.append(faiss.omp_get_max_threads())
            raise ArithmeticError

    seen, before = [], faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(3)
    try:
        with pytest.raises(ArithmeticError):
            VectorIndex(Watching()).search(np.zeros((n_queries, 2), np.float32), 1)
        assert (seen, faiss.omp_get_max_threads()) == ([expected], 3)
    finally:
        faiss.omp_set_num_threads(before)
