"""`report.html`: the tables, the pictures and every answer on one page that asks for nothing from outside.

Names and values come from users' files: here they are escaped, and the script writes them as text only. The page allows
itself no script but that one, by its hash.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from html import escape
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from eval.comparison_forms import NOTE, Table
from eval.errors import GROUPS
from eval.inline_svg import inline_svg
from eval.page_data import page_data, script_json
from eval.report import Report
from eval.results import SystemResult
from kb_index.atomic import replacing_text
from kbqa_agent.legible import legible
from kbqa_agent.types import QAExample

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["PageParts", "write_html"]

_PAGE = Path(__file__).parent / "page"
_PLACE = re.compile(r"\{\{(\w+)\}\}")
_TITLE = re.compile(r"[.:](?:\s+|$)")
"""What a table is about: its title ends with the first full stop or colon before a blank."""
_WITH_INTERVAL = re.compile(r"([+-]?\d[\d.,]*) \((.*)\)(.*)")
_FIGURES = re.compile(r"\W*|[+-]?\d[\d.,]*( .*)?")
_CAPTIONS = {
    "metrics": "Each metric with its 95 % interval. The mark is an oracle that has to guess among homonyms.",
    "systems": "Each metric of each system, with its 95 % interval.",
    "risk_coverage": "How many answers are wrong among the most confident ones: lower is better.",
    "calibration": "How often answers are right that were given with a confidence.",
    "ranks": "At which rank the first right candidate stands.",
    "candidates": "How often answers are right when there is more to choose from.",
    "homonyms": "How often answers are right when several entities share the name that was asked about.",
    "throughput": "Questions answered in a second.",
    "silence": "How many answers are wrong when half of the questions have none.",
}


class PageParts(NamedTuple):
    """What stands on the page beside the answers.

    `groups` are the failures by id of each system (`eval.errors.error_groups`), `figures` are by their names, `tables`
    are those of a comparison, the scores first.
    """

    title: str
    groups: Sequence[Mapping[str, str]]
    figures: Mapping[str, Figure]
    tables: Sequence[Table] = ()


def write_html(results: Sequence[SystemResult], examples: Sequence[QAExample], parts: PageParts, out: Path) -> None:
    """Write the page to the file `out`. Raises: StorageError."""
    script = (_PAGE / "report.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    shown = [(r, g) for r, g in zip(results, parts.groups, strict=True) if r.rows]
    data = page_data([r for r, _ in shown], examples, [g for _, g in shown])
    texts = {
        "title": _text(parts.title),
        "summary": _text(_summary(results, examples)),
        "digest": digest,
        "style": (_PAGE / "report.css").read_text(encoding="utf-8"),
        "tables": "\n".join(_table(table) for table in _tables(results, parts.tables)),
        "figures": "\n".join(_figure(name, figure) for name, figure in parts.figures.items()),
        "errors": _errors([(r.name, g, len(r.rows)) for r, g in shown]),
        "data": script_json(data),
        "script": script,
    }
    page = _PLACE.sub(lambda place: texts[place[1]], (_PAGE / "report.html").read_text(encoding="utf-8"))
    with replacing_text(out) as stream:
        stream.write(page)


def _summary(results: Sequence[SystemResult], examples: Sequence[QAExample]) -> str:
    failed = sum(r.report is None for r in results)
    systems = f"{len(results)} systems" if len(results) > 1 else "one system"
    return f"{len(examples):,} questions, {systems}" + (f", {failed} of which failed" if failed else "")


def _tables(results: Sequence[SystemResult], compared: Sequence[Table]) -> list[Table]:
    scores = list(compared) or [_scores(r.report) for r in results if r.report is not None]
    return [*map(_without_notes, scores[:1]), _systems(results), *scores[1:]]


def _without_notes(table: Table) -> Table:
    """Leave out what each system was, which the table after it says: the figures are to be seen at a glance."""
    if NOTE not in table.header:
        return table
    at = list(table.header).index(NOTE)
    return table._replace(
        header=[*table.header[:at], *table.header[at + 1 :]],
        rows=[[*row[:at], row[at + 1] or "failed", *row[at + 2 :]] for row in table.rows],
    )


def _scores(report: Report) -> Table:
    ceiling, around = report.ceiling or {}, report.ceiling_intervals or {}
    rows = [
        (m, _value(v), _interval(report.confidence_intervals.get(m)), _value(ceiling.get(m)), _interval(around.get(m)))
        for m, v in report.metrics.items()
    ]
    about = (
        "Scores. The ceiling is an oracle that knows the right subject name and predicate and guesses among homonyms."
    )
    return Table(about, ("metric", "value", "95 % interval", "ceiling", "95 % interval"), rows)


def _systems(results: Sequence[SystemResult]) -> Table:
    rows = []
    for result in results:
        if (report := result.report) is None:
            rows.append((result.name, f"failed: {result.error or 'unknown'}", *[""] * 6))
            continue
        system = report.system
        names = system.model or "none", system.adapter or "none", system.ranker or "own", system.index or "unnamed"
        commit = (system.git_commit or "unknown")[:12]
        rows.append((result.name, result.note, *names, commit, f"{report.seconds:,.0f}"))
    header = ("system", "what it was", "model", "adapter", "ranker", "index", "commit", "seconds")
    return Table("Systems.", header, rows)


def _table(table: Table) -> str:
    title, *rest = _TITLE.split(table.about, maxsplit=1)
    note = "".join(rest)[:1].upper() + "".join(rest)[1:]
    columns = list(zip(*table.rows, strict=True)) or [()] * len(table.header)
    sides = ["number" if all(map(_FIGURES.fullmatch, column)) else "text" for column in columns]
    head = "".join(f'<th scope="col" class="{c}">{_text(n)}</th>' for c, n in zip(sides, table.header, strict=True))
    body = "\n".join(f"<tr>{_cells(row, sides)}</tr>" for row in table.rows)
    return (
        f"<section><h2>{_text(title)}</h2>{f'<p>{_text(note)}</p>' if note else ''}\n"
        f'<div class="scroll" tabindex="0" role="region" aria-label="{_text(title)}"><table class="figures">'
        f"<thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div></section>"
    )


def _cells(row: Sequence[str], sides: Sequence[str]) -> str:
    first, *others = row
    cells = (f'<td class="{side}">{_cell(cell)}</td>' for side, cell in zip(sides[1:], others, strict=True))
    return f'<th scope="row">{_text(first)}</th>' + "".join(cells)


def _cell(text: str) -> str:
    """Put what stands in brackets after a figure, its interval, on a small line of its own."""
    if (found := _WITH_INTERVAL.fullmatch(text)) is None:
        return _text(text)
    value, around, mark = map(_text, found.groups())
    return f"{value}{mark}<br><small>{around}</small>"


def _figure(name: str, figure: Figure) -> str:
    caption = _CAPTIONS.get(name, name)
    wide = " wide" if name == "systems" else ""
    drawn = f"{inline_svg(figure, name, caption)}<figcaption>{_text(caption)}</figcaption>"
    return f'<figure class="plot{wide}">{drawn}</figure>'


def _errors(systems: Sequence[tuple[str, Mapping[str, str], int]]) -> str:
    """A table of the groups of failures of systems that were asked so many questions; numbers lead to theirs."""
    told = [g for g in GROUPS if any(g in groups.values() for _, groups, _ in systems)]
    if not told:
        return ""
    head = "".join(f'<th scope="col" class="number">{_text(name)}</th>' for name, _, _ in systems)
    rows = []
    for group in told:
        counts = [(sum(g == group for g in groups.values()), n_asked) for _, groups, n_asked in systems]
        cells = "".join(
            f'<td class="number"><a href="#questions" data-system="{place}" data-group="{group}">{n:,}</a>'
            f" <small>{n / max(n_asked, 1):.1%}</small></td>"
            for place, (n, n_asked) in enumerate(counts)
        )
        rows.append(f'<tr><th scope="row">{_words(group)}</th><td class="text">{_text(GROUPS[group])}</td>{cells}</tr>')
    return (
        "<section><h2>Errors</h2><p>Every question that was not answered right, by where it went wrong.</p>"
        '<div class="scroll" tabindex="0" role="region" aria-label="Errors"><table class="figures"><thead><tr>'
        f'<th scope="col">group</th><th scope="col">what it means</th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div></section>"
    )


def _words(group: str) -> str:
    return _text(group.replace("_", " "))


def _text(text: str) -> str:
    return escape(legible(text), quote=True)


def _value(value: float | None) -> str:
    return f"{value:.4f}" if value is not None and isfinite(value) else "–"


def _interval(ends: Sequence[float] | None) -> str:
    return f"{_value(ends[0])} – {_value(ends[1])}" if ends is not None and all(map(isfinite, ends)) else "–"
