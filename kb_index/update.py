"""Changes to an index without building it again: triples added from sources, or removed.

The entities that a change touches go, with all their triples, into the index's later layer (`view.py`), which is built
anew each time; the files of the first layer are linked into the new folder. Where the later layer would hold a good
part of the entities, the whole index is built again from its own triples instead. As in a build, the folder is replaced
when the new one is complete; open readers keep the old files.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kb_index.atomic import storage_errors
from kb_index.build import build_layers, package_version, read_sources
from kb_index.changes import Changes, Difference
from kb_index.columns import save_numbers
from kb_index.encoder import CHAR_STATIC
from kb_index.errors import IndexFolderError, InputError
from kb_index.layer_build import REJECTS_FILE, LayerBuild, new_database
from kb_index.manifest import (
    MANIFEST_FILE,
    RANKER_FOLDER,
    Manifest,
    UpdateInfo,
    describe_file,
    describe_files,
    read_manifest,
    write_manifest,
)
from kb_index.names import AttributeTrie
from kb_index.progress import Stages
from kb_index.readers.sources import ReadOptions, Source, SourceFile, require_sources
from kb_index.swap import find_index, replaced_folder
from kb_index.tally import Tally
from kb_index.view import DELTA, View, open_view

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["delete_triples", "update_index"]

LATER_ENTITIES = 10_000
LATER_SHARE = 0.05
"""A later layer of more entities than the one, and of a larger share than the other, becomes a new build."""


def update_index(
    sources: Sequence[Source],
    index: Path,
    *,
    options: ReadOptions | None = None,
    progress: bool = True,
) -> UpdateInfo:
    """Add the triples of some sources to an index; those that it holds already change nothing.

    Raises:
        InputError: no list of sources was given, or an empty one, or the memory limit is no size.
        TripleFileError: a source is missing, empty, binary, not UTF-8, or in another format.
        IndexFolderError: the folder is no index, is damaged, or was replaced meanwhile.
        StorageError: the disk is full, or the folder cannot be written.
    """
    require_sources(sources, "kbqa index FILE... --out DIR --update")
    update = _Update(Path(index), "add", options or ReadOptions(), progress)
    return update.run(sources, Changes.add)


def delete_triples(
    index: Path,
    *,
    sources: Sequence[Source] = (),
    subjects: Sequence[str] = (),
    where: Mapping[str, str] | None = None,
    options: ReadOptions | None = None,
    progress: bool = True,
) -> UpdateInfo:
    """Remove from an index the triples of some sources, all triples of some subjects, and what some lines stated.

    A subject is named as it was written, or by its IRI. `where` maps extra columns to values: a triple goes when all
    lines that stated it had all of them. What the index does not hold changes nothing.

    Raises:
        InputError: nothing was named, or more than one of the three ways was used, several subjects have a name and
            one of their IRIs is needed, or no line has such a column.
        TripleFileError, IndexFolderError, StorageError: as `update_index`.
    """
    if sum(map(bool, (sources, subjects, where))) != 1:
        raise InputError(
            "expected one way to name what to delete: files of triples, subjects (--subject NAME), or the lines "
            "that stated it (--where COLUMN=VALUE)"
        )
    if sources:
        require_sources(sources)
    update = _Update(Path(index), "delete", options or ReadOptions(), progress)
    return update.run(sources, lambda changes: changes.remove(subjects, where or {}))


class _NothingToDoError(Exception):
    """The index holds, or lacks, all of it already, so it is left as it is."""


@dataclass(frozen=True)
class _Update:
    """One update; `kind` is `add` or `delete`."""

    index: Path
    kind: str
    options: ReadOptions
    progress: bool

    def run(self, sources: Sequence[Source], apply: Callable[[Changes], Difference]) -> UpdateInfo:
        self._check_kind()
        stages = Stages(shown=self.progress)
        with (
            storage_errors(self.index, "make it writable"),
            closing(open_view(self.index)) as view,
            suppress(_NothingToDoError),
            replaced_folder(self.index, lambda: self._check_same(view)) as folder,
            self._replacement_first(view),
        ):
            later = folder / DELTA
            later.mkdir()
            with new_database(later, self.options.memory_limit) as connection:
                read = read_sources(connection, sources, self.options, later / "spill", stages)
                changes = Changes(connection, self.index, view)
                info = self._info(connection, read, apply(changes))
                if not (info.added or info.removed or info.restated):
                    raise _NothingToDoError
                manifest = _NewIndex(connection, changes, view, folder, info.sources, stages).write()
            info = replace(info, stages=stages.costs)
            write_manifest(replace(manifest, updates=(*view.manifest.updates, info)), folder)
        return info

    def _check_kind(self) -> None:
        n_shards = len(read_manifest(find_index(self.index)).shards)
        if n_shards:
            raise InputError(
                f"index '{self.index}': in {n_shards} shards, which cannot be changed; build it again from all its "
                f"sources: kbqa index FILE... --out '{self.index}' --shards {n_shards}"
            )

    @contextmanager
    def _replacement_first(self, view: View) -> Iterator[None]:
        """Let what fails, or finds nothing to do, because the index was replaced meanwhile say so."""
        try:
            yield
        except Exception:
            self._check_same(view)
            raise

    def _check_same(self, view: View) -> None:
        if read_manifest(self.index) != view.manifest:
            raise IndexFolderError(f"index '{self.index}': replaced by another program meanwhile; run the update again")

    def _info(
        self, connection: DuckDBPyConnection, sources: Sequence[SourceFile], difference: Difference
    ) -> UpdateInfo:
        ((lines, rejected),) = connection.execute("SELECT count(*), count(reason) FROM raw").fetchall()
        return UpdateInfo(
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            kbqa_version=package_version(),
            kind=self.kind,
            sources=tuple(sources),
            lines=lines,
            rejected=rejected,
            **difference._asdict(),
            stages={},
        )


@dataclass(frozen=True)
class _NewIndex:
    """The files of an index after some changes, written to `folder`; `sources` are those that rejected lines are of."""

    connection: DuckDBPyConnection
    changes: Changes
    view: View
    folder: Path
    sources: Sequence[SourceFile]
    stages: Stages

    def write(self) -> Manifest:
        """Write a later layer beside the first one, or a new build where it would be large."""
        ids, gone = self.changes.ids()
        if len(ids) + len(gone) > max(LATER_ENTITIES, LATER_SHARE * self.view.first.facts.n_entities):
            return self._build_again()
        return self._write_later(ids, gone)

    def _write_later(self, ids: NDArray[np.int64], gone: NDArray[np.int64]) -> Manifest:
        self.changes.back_to_raw()
        _link_files(self.view.folder, self.folder)
        later = self.folder / DELTA
        build = LayerBuild(self.connection, later, self.stages, seed=0)
        tables = build.tables(self.sources, ids)
        n_first = self.view.first.facts.n_entities
        tally = Tally(self.connection, np.union1d(ids[ids < n_first], gone))
        AttributeTrie.build(tally.attributes()).save(later / "attributes.marisa")
        counts = tally.counts(self.view.manifest.counts, len(self.view.first.names), tables.aliases)
        names, rows = build.close()
        build.vectors(names, ids[rows], [name for name, _ in tables.attributes], self.view.encoder)
        save_numbers(later / "ids", ids)
        save_numbers(later / "gone", gone)
        files = {name: info for name, info in self.view.manifest.files.items() if not name.startswith(f"{DELTA}/")}
        files |= {f"{DELTA}/{name}": info for name, info in describe_files(later).items()}
        return replace(self.view.manifest, counts=counts, files=files)

    def _build_again(self) -> Manifest:
        self.changes.take_the_rest()
        self.changes.back_to_raw()
        old = self.view.manifest
        named = None if old.encoder.name == CHAR_STATIC else self.view.encoder
        seed = int(old.options["seed"])
        later = self.folder / DELTA
        manifest = build_layers(self.connection, later, self.sources, self.stages, seed=seed, encoder=named)
        for path in later.iterdir():
            path.rename(self.folder / path.name)
        later.rmdir()
        if (self.view.folder / RANKER_FOLDER).is_dir():
            shutil.copytree(self.view.folder / RANKER_FOLDER, self.folder / RANKER_FOLDER)
        rejects = self.folder / REJECTS_FILE
        rejects.write_bytes((self.view.folder / REJECTS_FILE).read_bytes() + rejects.read_bytes())
        n = old.counts
        return replace(
            manifest,
            sources=old.sources,
            counts=replace(manifest.counts, lines=n.lines, duplicates=n.duplicates, rejected=n.rejected),
            files={**manifest.files, REJECTS_FILE: describe_file(rejects)},
        )


def _link_files(index: Path, folder: Path) -> None:
    """Let the new folder have the files of the old one, which no one writes to, without copying them."""
    for path in sorted(index.rglob("*")):
        name = path.relative_to(index)
        hidden = any(part.startswith(".") for part in name.parts)
        if path.is_file() and name.parts[0] not in (DELTA, MANIFEST_FILE) and not hidden:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(path, folder / name)
            except OSError:  # a file system without hard links
                shutil.copyfile(path, folder / name)
