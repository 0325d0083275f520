"""However an index came to hold its triples, by updates and deletes or by one build, it answers alike.

`KBQA_EXAMPLES=100 pytest tests/integration/test_index_updates.py` tries as many sequences of changes as that.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kb_index import KnowledgeBase, build_index, delete_triples, update_index

N_EXAMPLES = int(os.environ.get("KBQA_EXAMPLES", "8"))

SUBJECTS = [
    "坛经",
    "《坛经》",
    "Ａ书",
    "a书",
    "A 书",
    "机械(教材)",
    "机械(2010年)",
    "机械",
    "惠能",
    "甲",
    "b",
    "B",
    "唐(朝代)",
]
PREDICATES = ["作者", "作 者", "别名", "中文名", "页数", "页数[1]", "Name", "朝代"]
OBJECTS = ["惠能", "慧能、六祖", "A书", "ａ书", "机械", "b", "350", "唐", "一段很长的文字" * 6, "甲/乙", "《坛经》"]
SOURCES = ["", "甲源", "乙源"]
TEXTS = [f"{name}和{other}是什么？" for name, other in zip(SUBJECTS + OBJECTS, OBJECTS + SUBJECTS, strict=True)]


class Statement(NamedTuple):
    """A line; `source` is an extra column, or empty."""

    subject: str
    predicate: str
    object: str
    source: str


ANCHOR = Statement("《坛经》Ａa 书机械(教材)机械(2010年)惠能甲bB唐(朝代)", "作者", "锚", "")
"""Always there: an index is not built from nothing, and its encoder knows the characters that it was built with."""

statements = st.builds(Statement, *(st.sampled_from(values) for values in (SUBJECTS, PREDICATES, OBJECTS, SOURCES)))


@dataclass(frozen=True)
class Change:
    """One update (`add`) or delete (`triples`, `subjects`, `source`), and whether it may leave a later layer."""

    kind: str
    statements: Sequence[Statement]
    subjects: Sequence[str]
    source: str
    layered: bool

    def after(self, before: frozenset[Statement]) -> frozenset[Statement]:
        """Give the statements that there are after the change."""
        if self.kind == "add":
            return before | frozenset(self.statements)
        named = {s[:3] for s in self.statements} if self.kind == "triples" else set()
        subjects = self.subjects if self.kind == "subjects" else ()
        source = self.source if self.kind == "source" else None
        return frozenset(s for s in before if s[:3] not in named and s[0] not in subjects and s.source != source)

    def make(self, index: Path) -> None:
        """Change the index."""
        with ExitStack() as patches:
            patches.enter_context(patch("kb_index.update.LATER_ENTITIES", 10_000 if self.layered else 0))
            patches.enter_context(patch("kb_index.update.LATER_SHARE", 0.05 if self.layered else 0))
            if self.kind == "add":
                update_index([rows(self.statements)], index, progress=False)
            elif self.kind == "triples":
                delete_triples(index, sources=[[s[:3] for s in self.statements]], progress=False)
            elif self.kind == "subjects":
                delete_triples(index, subjects=self.subjects, progress=False)
            else:
                delete_triples(index, where={"source": self.source}, progress=False)


changes = st.builds(
    Change,
    kind=st.sampled_from(["add", "add", "triples", "subjects", "source"]),
    statements=st.lists(statements, min_size=1, max_size=6),
    subjects=st.lists(st.sampled_from(SUBJECTS), min_size=1, max_size=2),
    source=st.sampled_from(SOURCES[1:]),
    layered=st.sampled_from([True, True, True, False]),
)


def rows(given_statements: Sequence[Statement]) -> list[dict[str, str]]:
    return [s._asdict() for s in given_statements]


def build(held: frozenset[Statement], index: Path) -> Path:
    build_index([rows([ANCHOR, *sorted(held)])], index, progress=False)
    return index


def answers(kb: KnowledgeBase) -> dict[str, object]:
    """Give what an index says, with names where it has ids."""
    ids = range(200)
    names = {entity.id: entity.name for entity in kb.entities(ids)}
    found = kb.with_extra(kb.triples_of(ids))
    facts = [(t.subject, t.predicate, t.object, extra_of(t.extra)) for t in found]
    counts = kb.manifest.counts
    return {
        "entities": sorted(names.values()),
        "named": {name: sorted(e.name for e in kb.entities_named(name)) for name in SUBJECTS + OBJECTS},
        "facts": sorted(facts),
        "mentions": {
            text: [(m.start, m.end, sorted(names[i] for i in m.entity_ids)) for m in kb.mentions(text)]
            for text in TEXTS
        },
        "about": {o: sorted(t[1:4] for t in kb.triples_about(o)) for o in OBJECTS},
        "by id": sorted(t[1:4] for t in kb.triples_by_id([t.id for t in found])),
        "frequency": kb.attribute_frequency(PREDICATES).tolist(),
        "prefixes": {p: sorted(kb.names_with_prefix(p, 100)) for p in ("", "坛", "a", "A", "机械", "《", "b")},
        "counts": (counts.triples, counts.entities, counts.attributes, counts.aliases),
    }


def extra_of(extra: Sequence[object]) -> list[str]:
    return sorted(map(repr, extra))


def state_of_files(index: Path) -> dict[str, tuple[int, int]]:
    files = [path for path in sorted(index.rglob("*")) if path.is_file()]
    return {str(path): (path.stat().st_ino, path.stat().st_mtime_ns) for path in files}


@pytest.mark.slow
@settings(max_examples=N_EXAMPLES, deadline=None)
@given(start=st.frozensets(statements, max_size=25), sequence=st.lists(changes, min_size=1, max_size=5))
def test_updates_and_deletes_leave_what_a_build_would(start, sequence):
    with tempfile.TemporaryDirectory() as folder, ExitStack() as opened:
        index, fresh = build(start, Path(folder, "kb")), Path(folder, "fresh")
        held, kb = start, opened.enter_context(KnowledgeBase.open(index))
        for change in sequence:
            before, reader = answers(kb), opened.enter_context(KnowledgeBase.open(index))
            change.make(index)
            held = change.after(held)
            assert answers(reader) == before
            reader.reopen()
            with KnowledgeBase.open(build(held, fresh)) as expected:
                assert answers(reader) == answers(expected)
            live = sorted({ANCHOR.subject} | {s.subject for s in held})
            for name, found in zip(live, reader.similar_entities(live, 100), strict=True):
                assert name in {match.entity.name for match in found} <= set(live)
            kb, files = reader, state_of_files(index)
            change.make(index)
            assert state_of_files(index) == files
        assert sorted(path.name for path in Path(folder).iterdir()) == ["fresh", "kb"]
