"""The numbers of an index as text for a terminal and as JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kb_index.manifest import FileInfo, Manifest, manifest_to_json
from kb_index.progress import StageCost
from kb_index.stats.cells import aligned, clipped, printable
from kb_index.stats.numbers import Bin, IndexStats, RejectCount

__all__ = ["bin_label", "stats_to_json", "stats_to_text"]

_NAME_CELLS = 30
_LINE_CELLS = 78
_UPDATES_SHOWN = 10


def stats_to_json(stats: IndexStats) -> str:
    """Give the numbers as one JSON object on one line, with no control characters in it."""
    text = json.dumps(_to_json(stats), ensure_ascii=False)
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


def _to_json(stats: IndexStats) -> dict[str, Any]:
    manifest = manifest_to_json(stats.manifest)
    return {
        "path": stats.path,
        **{name: manifest[name] for name in ("schema_version", "created", "kbqa_version", "encoder", "options")},
        "counts": manifest["counts"] | {"normalized_attributes": stats.n_attributes, "names": stats.n_names},
        **{name: manifest[name] for name in ("sources", "updates", "stages")},
        "bytes": {name: info.bytes for name, info in stats.files.items()},
        "top_attributes": [attribute._asdict() for attribute in stats.top_attributes],
        "homonyms": [group._asdict() for group in stats.homonyms],
        "top_homonyms": [name._asdict() for name in stats.top_homonyms],
        "triples_per_entity": {
            "mean": stats.degree_mean,
            "quantiles": {str(percent): n for percent, n in stats.degree_quantiles.items()},
            "histogram": [group._asdict() for group in stats.degrees],
        },
        "objects_that_name_entities": stats.links,
        "rejects": [reject._asdict() for reject in stats.rejects],
    }


def stats_to_text(stats: IndexStats) -> str:
    """Give the numbers as tables of at most 80 columns, without control characters; a path may be longer."""
    sections = (
        _overview(stats),
        _provenance(stats.manifest),
        _files(stats.files),
        _attributes(stats),
        _homonyms(stats),
        _degrees(stats),
        _rejects(stats.rejects),
    )
    return "\n\n".join("\n".join(lines) for lines in map(list, sections) if lines)


def _overview(stats: IndexStats) -> Iterator[str]:
    n = stats.manifest.counts
    shards = f" in {len(stats.manifest.shards)} shards" if stats.manifest.shards else ""
    yield f"{printable(stats.path)}: {n.triples:,} triples of {n.entities:,} entities{shards}"
    yield from aligned(
        [
            ["attributes", f"{n.attributes:,}", f"as written; {stats.n_attributes:,} normalised"],
            ["aliases", f"{n.aliases:,}", f"of the entities; {stats.n_names:,} names without description"],
            ["links", f"{stats.links:.1%}", "of the triples have an object that is an entity's name"],
            ["lines", f"{n.lines:,}", f"of the build; {n.duplicates:,} duplicate, {n.rejected:,} rejected"],
        ],
        [False, True, False],
    )


def _provenance(manifest: Manifest) -> Iterator[str]:
    encoder = f"encoder {printable(manifest.encoder.name)} (dim {manifest.encoder.dim})"
    yield f"Built {printable(manifest.created)} by kbqa {printable(manifest.kbqa_version)}, {encoder}"
    for source in manifest.sources:
        yield f"  {printable(source.path)}  {_size(source.bytes)}"
    yield from _stages(manifest.stages)
    if manifest.updates:
        shown = manifest.updates[-_UPDATES_SHOWN:]
        rest = ", the last of which:" if len(shown) < len(manifest.updates) else ""
        yield f"Updates: {len(manifest.updates):,}{rest}"
        rows = [
            [printable(u.created), u.kind, f"+{u.added:,}", f"-{u.removed:,}", f"{_seconds(u.stages):.1f} s"]
            for u in shown
        ]
        yield from aligned(rows, [False, False, True, True, True])


def _stages(stages: Mapping[str, StageCost]) -> list[str]:
    if not stages:
        return []
    rows = [[name, f"{cost.seconds:,.1f} s", f"{_size(cost.peak_bytes)} peak"] for name, cost in stages.items()]
    rows.append(["all", f"{_seconds(stages):,.1f} s", f"{_size(max(c.peak_bytes for c in stages.values()))} peak"])
    return aligned(rows, [False, True, True])


def _files(files: Mapping[str, FileInfo]) -> Iterator[str]:
    sizes: Counter[str] = Counter()
    for name, info in files.items():
        folder, slash, _ = name.partition("/")
        sizes[folder + slash] += info.bytes
    yield f"On disk {_size(sum(sizes.values()))}"
    yield from aligned([[printable(name), _size(size)] for name, size in sizes.most_common()], [False, True])


def _attributes(stats: IndexStats) -> Iterator[str]:
    if stats.top_attributes:
        n_triples = stats.manifest.counts.triples
        yield f"Attributes with the most triples, of {stats.n_attributes:,}"
        rows = [[_name(a.name), f"{a.triples:,}", _share(a.triples, n_triples)] for a in stats.top_attributes]
        yield from aligned(rows, [False, True, True])


def _homonyms(stats: IndexStats) -> Iterator[str]:
    if stats.n_names:
        yield "Entities that share a name"
        yield from _histogram(stats.homonyms, " names")
    if stats.top_homonyms:
        yield "Names of the most entities"
        yield from aligned([[_name(name), f"{n:,}"] for name, n in stats.top_homonyms], [False, True])


def _degrees(stats: IndexStats) -> Iterator[str]:
    if stats.degrees:
        yield f"Triples of an entity: {stats.degree_mean:.1f} in the mean"
        shares = ("all" if percent == 100 else f"{percent} %" for percent in stats.degree_quantiles)
        rows = [
            ["share of entities", *shares],
            ["triples at most", *map("{:,}".format, stats.degree_quantiles.values())],
        ]
        yield from aligned(rows, [False, *(True for _ in stats.degree_quantiles)])
        yield from _histogram(stats.degrees, " entities")


def _rejects(rejects: Sequence[RejectCount]) -> Iterator[str]:
    if rejects:
        yield "Rejected lines of the build and the last update, and the first of each reason"
        for reject in rejects:
            yield clipped(f"  {reject.lines:,} x {printable(reject.reason)}", _LINE_CELLS)
            yield f"      {printable(reject.file)}:{reject.line}"
            yield clipped(f"      {printable(reject.text)}", _LINE_CELLS)


def bin_label(group: Bin) -> str:
    """Name a range of numbers.

    >>> bin_label(Bin(2, 2, 0)), bin_label(Bin(4, 5, 0)), bin_label(Bin(11, None, 0))
    ('2', '4-5', '>10')
    """
    if group.most is None:
        return f">{group.least - 1:,}"
    return f"{group.least:,}" if group.least == group.most else f"{group.least:,}-{group.most:,}"


def _histogram(groups: Sequence[Bin], unit: str) -> list[str]:
    total = max(sum(group.number for group in groups), 1)
    rows = [[bin_label(group), f"{group.number:,}{unit}", _share(group.number, total)] for group in groups]
    return aligned(rows, [True, True, True])


def _share(number: int, total: int) -> str:
    share = f"{number / total:.2%}"
    return "<0.01%" if number and share == "0.00%" else share


def _name(text: str) -> str:
    return clipped(printable(text), _NAME_CELLS)


def _seconds(stages: Mapping[str, StageCost]) -> float:
    return sum(cost.seconds for cost in stages.values())


def _size(n_bytes: int) -> str:
    unit, divisor = next((u for u in (("GB", 1e9), ("MB", 1e6)) if n_bytes >= u[1]), ("kB", 1e3))
    return f"{n_bytes / divisor:,.1f} {unit}"
