"""Builds, updates and readers of one index at once: nobody sees half of anything, and who comes too late is told."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kb_index import KnowledgeBase, build_index, delete_triples, update, update_index
from kb_index.errors import IndexFolderError


def rows(author: str) -> list[tuple[str, str, str]]:
    return [(f"书{i}", "作者", author) for i in range(50)]


def build(folder: Path, author: str) -> Path:
    build_index([rows(author)], folder / "kb", progress=False)
    return folder / "kb"


def authors(index: Path) -> list[str]:
    with KnowledgeBase.open(index) as kb:
        return [triple.object for triple in kb.triples_of(range(1000))]


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@pytest.mark.parametrize("layered", [False, True])
@pytest.mark.parametrize("when", ["read_sources", "describe_files"])
def test_an_update_says_that_the_index_was_replaced_meanwhile(tmp_path, monkeypatch, layered, when):
    index = build(tmp_path, "惠能")
    if layered:
        update_index([[("坛经", "作者", "惠能")]], index, progress=False)
    step = getattr(update, when)

    def interrupted(*args):
        build(tmp_path, "神秀")
        return step(*args)

    monkeypatch.setattr(update, when, interrupted)
    with pytest.raises(IndexFolderError, match="kb': replaced by another program meanwhile; run the update again"):
        update_index([[("新书", "作者", "法海")]], index, progress=False)
    monkeypatch.undo()
    assert authors(index) == ["神秀"] * 50
    assert names(tmp_path) == ["kb"]


def test_one_of_two_updates_wins_and_the_other_is_told(tmp_path):
    index = build(tmp_path, "惠能")
    start = threading.Barrier(2)

    def add(name: str) -> str | None:
        start.wait()
        try:
            update_index([[(name, "作者", name)]], index, progress=False)
        except IndexFolderError:
            return None
        return name

    with ThreadPoolExecutor(2) as pool:
        won = [name for name in pool.map(add, ["甲书", "乙书"]) if name]
    assert won
    assert sorted(authors(index)) == sorted(["惠能"] * 50 + won)
    assert names(tmp_path) == ["kb"]


def test_a_reader_that_has_preloaded_finds_similar_names_after_the_index_is_replaced(tmp_path):
    index = build(tmp_path, "惠能")
    with KnowledgeBase.open(index) as early, KnowledgeBase.open(index) as late:
        early.preload()
        build(tmp_path, "神秀")
        assert early.similar_entities(["书43x"], 1)[0][0].entity.name == "书43"
        with pytest.raises(IndexFolderError, match="replaced since it was opened; reopen it"):
            late.preload()


def test_one_of_two_builds_wins(tmp_path):
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda author: build(tmp_path, author), ["惠能", "神秀"]))
    assert authors(tmp_path / "kb") in (["惠能"] * 50, ["神秀"] * 50)
    assert names(tmp_path) == ["kb"]


def test_who_opens_an_index_while_it_is_replaced_sees_one_state_of_it(tmp_path):
    index = build(tmp_path, "惠能")
    done = threading.Event()

    def look() -> set[tuple[str, ...]]:
        seen = set()
        while not done.is_set():
            seen.add(tuple(authors(index)))
        return seen

    old, new = ("惠能",) * 50, ("神秀",) * 50
    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(look)
        try:
            for _ in range(4):
                build(tmp_path, "神秀")
                build(tmp_path, "惠能")
                update_index([[("坛经", "作者", "慧能")]], index, progress=False)
                delete_triples(index, subjects=["坛经"], progress=False)
        finally:
            done.set()
    assert reader.result() <= {old, new, (*old, "慧能")}
