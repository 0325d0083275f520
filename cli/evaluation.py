"""What `kbqa eval` does: one system, or those that a file lists, or a file of predictions."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.agents import agents_of, check_options

if TYPE_CHECKING:
    from kbqa_agent.agent import KBQAgent

__all__ = ["evaluate_one", "evaluate_predictions", "evaluate_several"]


def evaluate_one(index: Path, questions: Path, format_: str, out: Path, options: dict[str, Any]) -> None:
    """Evaluate the system that the options of the command describe, and print its report as Markdown."""
    from eval.report import SystemInfo, report_markdown
    from eval.runner import EvalOptions, evaluate
    from kbqa_agent.feedback import feedback_for
    from kbqa_agent.qa_data import read_questions

    examples = read_questions(questions, format_)
    asked, engine, opening = _parted(options)
    feedback = feedback_for(index, opening.pop("feedback") or "none")
    ranker = opening["ranker"]
    with agents_of(index, **engine) as opened, opened(feedback=feedback, **opening) as agent:
        name = agent.generator.name if agent.generator else "none"
        adapter = getattr(agent.generator, "adapter", None)
        system = SystemInfo(name, adapter, str(index), feedback=str(feedback) if feedback else None, ranker=ranker)
        system = replace(system, questions=str(questions))
        chosen = EvalOptions(**asked, expected_share=agent.expected_share, system=system)
        report = evaluate(agent, examples, out, chosen).report
    _tell_place(out)
    click.echo(report_markdown(report))


def evaluate_predictions(questions: Path, predictions: Path, out: Path, format_: str, seed: int) -> str:
    """Score a file of predictions, and give the report as Markdown."""
    from eval.predictions import predictions_markdown, score_predictions

    return predictions_markdown(score_predictions(questions, predictions, out, format_, seed))


def evaluate_several(
    systems: Path, index: Path, questions: tuple[Path, str], out: Path, fresh: bool, options: dict[str, Any]
) -> None:
    """Evaluate the systems of a file, and print their comparison as Markdown.

    `questions` is their file and its format, `options` is for what the file of systems leaves open.

    Raises: InputError; KBQAError where a system failed, when the others are evaluated.
    """
    from eval.comparison import compare
    from eval.comparison_forms import COMPARISON, comparison_markdown, comparison_tables, write_comparison
    from eval.illustrated import illustrate_several
    from eval.report import SystemInfo
    from eval.runner import EvalOptions
    from eval.systems import SYSTEMS, baseline_of, evaluate_systems, read_systems
    from kb_index.atomic import check_replaceable
    from kb_index.errors import InputError, KBQAError
    from kb_index.knowledge_base import KnowledgeBase
    from kbqa_agent.qa_data import read_questions

    examples = read_questions(*questions)
    listed = read_systems(systems)
    asked, engine, opening = _parted(options)
    for system in listed:  # before the first of them is asked for hours
        check_options({**opening, **system.options}, f"{systems}: {system.name}")
    if asked["unanswerable"] and any(system.limit for system in listed):
        raise InputError(f"{systems}: a system has a limit, and --unanswerable hides other answers then; leave one out")
    if not (out / SYSTEMS).is_dir():
        check_replaceable(out, holds=COMPARISON)
    del opening["feedback"]

    chosen = EvalOptions(**asked, reuse=not fresh, system=SystemInfo(index=str(index), questions=str(questions[0])))
    with agents_of(index, **engine) as opened:

        def opened_as(own: Mapping[str, Any]) -> AbstractContextManager[KBQAgent]:
            return opened(**{**opening, **own})

        results = evaluate_systems(listed, opened_as, examples, out, chosen)
    if not any(result.report for result in results):
        raise KBQAError(f"{systems}: no system could be evaluated; the first: {results[0].error}")
    with KnowledgeBase.open(index, partial=opening["partial"]) as kb:
        comparison = compare(results, examples, kb, baseline_of(listed).name, seed=chosen.seed)
        write_comparison(comparison, out)
        illustrate_several(results, examples, kb, comparison_tables(comparison), out)
    _tell_place(out)
    click.echo(comparison_markdown(comparison))
    if failed := [result.name for result in results if result.report is None]:
        raise KBQAError(f"{len(failed)} of {len(results)} systems failed, the first is {failed[0]!r}; see {out}")


def _tell_place(out: Path) -> None:
    click.echo(f"{out / 'report.html'} shows every answer", err=True)


def _parted(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Part what is asked, and how, and on which engine, from what opens an agent."""
    from eval.unanswerable import ANSWERABLE

    opening = dict(options)
    asked = {name: opening.pop(name) for name in ("limit", "seed", "unanswerable", "errors")}
    engine = {name: opening.pop(name) for name in ("engine", "ray_address", "workers", "gpus_per_worker")}
    if asked["unanswerable"] and opening["answerable"] is None:
        opening["answerable"] = ANSWERABLE
    return asked, engine, opening
