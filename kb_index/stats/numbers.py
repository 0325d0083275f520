"""What an index holds, in numbers: attributes, homonyms, triples per entity, links, rejected lines.

The numbers are of the index as it is now: of what a later layer (`view.py`) replaces, nothing is counted. How they are
found is the job of `measures.py`, and how they are shown that of `forms.py` and `plot.py`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kb_index.errors import InputError
from kb_index.layer_build import REJECTS_FILE
from kb_index.manifest import FileInfo, Manifest
from kb_index.stats.measures import Measures
from kb_index.view import DELTA

__all__ = ["AttributeCount", "Bin", "IndexStats", "NameCount", "RejectCount", "index_stats"]

QUANTILES = (1, 25, 50, 75, 99, 100)
"""Per cent; 100 is the largest."""

HOMONYM_BINS = ((1, 1), (2, 2), (3, 3), (4, 5), (6, 10), (11, None))

PROGRESS_AFTER_SECONDS = 2


class AttributeCount(NamedTuple):
    """A normalised attribute, its triples, and their share of all triples."""

    name: str
    triples: int
    share: float


class NameCount(NamedTuple):
    """A name, normalised and without description, and the number of entities that it may mean."""

    name: str
    entities: int


class Bin(NamedTuple):
    """How many things have from `least` to `most` of something, both included; `most` is None for no limit."""

    least: int
    most: int | None
    number: int


class RejectCount(NamedTuple):
    """Why lines were no triples, how many, and the first of them: file, line number, text."""

    reason: str
    lines: int
    file: str
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class IndexStats:
    """The numbers of an index.

    `files` are by path, those of shards among them. `n_attributes` counts normalised attributes, `n_names` normalised
    names without description; `homonyms` counts names by their entities, and `degrees` entities by their triples
    (`degree_quantiles`: per cent -> triples, no interpolation). `links` is the share of triples whose object,
    normalised, is the name of an entity; objects are compared by 32-bit hashes, so that it is too high by up to one in
    600 with seven million names. `rejects` are those of the build and of the last update that changed something.
    """

    path: str
    manifest: Manifest
    files: dict[str, FileInfo]
    n_attributes: int
    top_attributes: tuple[AttributeCount, ...]
    n_names: int
    homonyms: tuple[Bin, ...]
    top_homonyms: tuple[NameCount, ...]
    degree_mean: float
    degree_quantiles: dict[int, int]
    degrees: tuple[Bin, ...]
    links: float
    rejects: tuple[RejectCount, ...]


def index_stats(path: str | Path, top: int = 20, *, progress: bool = True) -> IndexStats:
    """Count what an index holds; the lists of attributes, homonyms and reasons have at most `top` rows.

    43 million triples take some seconds and under 3 GB. A bar is shown on a terminal after two seconds.

    Raises:
        IndexFolderError: the folder is no index, is damaged, is of another schema version, or was replaced meanwhile.
        InputError: `top` is not positive.
    """
    from tqdm import tqdm

    if top < 1:
        raise InputError(f"--top {top}: expected at least 1")
    with (
        closing(Measures(Path(path))) as measures,
        tqdm(
            total=5, desc="stats", unit="step", delay=PROGRESS_AFTER_SECONDS, disable=None if progress else True
        ) as bar,
    ):
        return _index_stats(measures, str(path), top, bar.update)


def _index_stats(measures: Measures, path: str, top: int, on_step: Callable[[], object]) -> IndexStats:
    rejects = _rejects(Path(path), top)
    on_step()
    triples_each = measures.triples_per_entity()
    n_triples = int(triples_each.sum())
    on_step()
    n_attributes, attributes = measures.attributes(top)
    on_step()
    names = measures.names()
    on_step()
    links = measures.links()
    on_step()
    return IndexStats(
        path=path,
        manifest=measures.manifest,
        files=measures.files,
        n_attributes=n_attributes,
        top_attributes=tuple(AttributeCount(name, n, n / n_triples) for name, n in attributes),
        n_names=sum(names.values()),
        homonyms=_homonym_bins(names),
        top_homonyms=tuple(NameCount(name, n) for name, n in measures.most_common_names(top)),
        degree_mean=n_triples / max(len(triples_each), 1),
        degree_quantiles=_quantiles(triples_each),
        degrees=_powers_of_two(triples_each),
        links=links / max(n_triples, 1),
        rejects=rejects,
    )


def _homonym_bins(names: dict[int, int]) -> tuple[Bin, ...]:
    return tuple(
        Bin(least, most, sum(n for entities, n in names.items() if least <= entities <= (most or entities)))
        for least, most in HOMONYM_BINS
    )


def _quantiles(numbers: NDArray[np.int64]) -> dict[int, int]:
    if not len(numbers):
        return dict.fromkeys(QUANTILES, 0)
    found = np.percentile(numbers, QUANTILES, method="inverted_cdf")
    return dict(zip(QUANTILES, found.astype(int).tolist(), strict=True))


def _powers_of_two(numbers: NDArray[np.int64]) -> tuple[Bin, ...]:
    counts = np.bincount(np.frexp(numbers)[1]).tolist()  # frexp gives the number of binary digits
    return tuple(Bin(1 << digits >> 1, (1 << digits) - 1, n) for digits, n in enumerate(counts) if digits or n)


def _rejects(folder: Path, top: int) -> tuple[RejectCount, ...]:
    lines: Counter[str] = Counter()
    first: dict[str, tuple[str, int, str]] = {}
    for file, line, reason, text in _reject_rows(folder):
        lines[reason] += 1
        first.setdefault(reason, (file, line, text))
    return tuple(RejectCount(reason, n, *first[reason]) for reason, n in lines.most_common(top))


def _reject_rows(folder: Path) -> Iterator[tuple[str, int, str, str]]:
    for path in (folder / REJECTS_FILE, folder / DELTA / REJECTS_FILE):
        if path.is_file():
            with path.open(encoding="utf-8") as file:
                for row in map(json.loads, file):
                    yield row["file"], row["line"], row["reason"], row["text"]
