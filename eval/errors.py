"""Failures to read: every question that was not answered right, in a group that says where it went wrong.

Nothing is asked again: a group is told from the gold triple, the row of `per_question.jsonl`, and what the knowledge
base says of the entities of the gold subject's name. The first that holds, from the top of `GROUPS`, is the group.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from tqdm import tqdm

from eval.ceiling import HomonymLookup
from eval.difficulty import namesakes
from kb_index.normalize import normalize_attribute, plain_name
from kb_index.types import Triple
from kbqa_agent.qa_data import comparable
from kbqa_agent.types import QAExample

if TYPE_CHECKING:
    from eval.results import Row

__all__ = ["GROUPS", "Whose", "compared", "error_figures", "error_group", "error_groups", "errors_markdown", "is_right"]

GROUPS: Mapping[str, str] = {
    "unanswerable": "answered, though the question has no answer",
    "gold_doubtful": "the gold triple is not in the index or not of the gold answer, or its subject and attribute "
    "have what was answered too",
    "abstained": "kept silent, with the right answer among the candidates",
    "generation": "the likeliest candidate is right, and the generator wrote something else",
    "linking": "a triple of another name was believed, or no entity of the gold subject's name found",
    "homonym": "a triple of another entity of the gold subject's name was believed",
    "attribute": "another attribute of the gold entity was believed, or its attribute not found",
    "other": "no gold triple or no evidence to tell by",
}
"""What each group of failures means, in the order in which they are tried."""

Whose = Literal["gold entity", "its name", "other name"]


def compared(gold: tuple[str, str, str], said: Mapping[str, Any]) -> tuple[Whose, bool]:
    """Say whose triple was believed, as far as names tell, and whether its attribute is the gold one."""
    subject, predicate, _ = gold
    whose: Whose = "other name"
    if said["subject"] == subject:
        whose = "gold entity"
    elif plain_name(said["subject"]) == plain_name(subject):
        whose = "its name"
    return whose, normalize_attribute(said["predicate"]) == normalize_attribute(predicate)


def is_right(row: Row) -> bool:
    """Say whether the answer that was told is a gold one, or nothing was told where there is none."""
    if row["answer"] is None or not row["gold"]:
        return row["answer"] is None and not row["gold"]
    return comparable(row["answer"]) in set(map(comparable, row["gold"]))


def error_group(example: QAExample, row: Row, triples: Sequence[Triple]) -> str | None:
    """Name the group of `GROUPS` that a question fails by; None where it was answered right.

    What is gold is as the row has it, since a test of silence takes answers away. `triples` are
    those of all entities of the gold subject's name (`eval.difficulty.namesakes`).
    """
    if is_right(row):
        return None
    if not row["gold"]:
        return "unanswerable"
    if _is_doubtful(example, row, triples):
        return "gold_doubtful"
    gold = set(map(comparable, example.answers))
    right = [comparable(c["answer"]) in gold for c in row["candidates"]]
    if row["answer"] is None:
        return "abstained" if any(right) else _not_found(example, row)
    if any(right[:1]):
        return "generation"
    return _believed(example, row, triples)


def error_groups(examples: Sequence[QAExample], rows: Sequence[Row], kb: HomonymLookup) -> dict[str, str]:
    """Give the group of every question that was not answered right, by its id.

    `rows` are about `examples`, in whatever order; a question without a row is left out.
    """
    found: dict[str, str] = {}
    by_id = {row["id"]: row for row in rows}
    for example in tqdm(examples, desc="errors", unit="question", disable=None):
        row = by_id.get(example.id)
        if row is None or is_right(row):
            continue
        triples = namesakes(kb, example.triple[0]) if example.triple else []
        if group := error_group(example, row, triples):
            found[example.id] = group
    return found


def error_figures(
    examples: Sequence[QAExample], rows: Sequence[Row], groups: Mapping[str, str], shown: int = 5, seed: int = 0
) -> dict[str, Any]:
    """Compute what `report.json` holds under `errors`: for each group how many, which share of all, and examples.

    At most `shown` examples of a group are drawn, with `seed`, and stand in the file's order.
    """
    members: defaultdict[str, list[str]] = defaultdict(list)
    for example in examples:
        if example.id in groups:
            members[groups[example.id]].append(example.id)
    rng = random.Random(seed)
    drawn = {i for group in GROUPS for i in rng.sample(members[group], min(shown, len(members[group])))}
    by_id = {row["id"]: row for row in rows}
    told = {e.id: _example(e, by_id[e.id]) for e in examples if e.id in drawn}
    counts = Counter(groups.values())
    return {
        "n": len(groups),
        "share": len(groups) / max(len(examples), 1),
        "groups": {
            group: {
                "n": counts[group],
                "share": counts[group] / max(len(examples), 1),
                "meaning": meaning,
                "examples": [told[i] for i in members[group] if i in drawn],
            }
            for group, meaning in GROUPS.items()
            if counts[group]
        },
    }


def errors_markdown(figures: Mapping[str, Any]) -> list[str]:
    """Render `error_figures` as lines of Markdown: a table of the groups, then examples of each."""
    lines = ["", "## Errors", "", f"{figures['n']} questions ({figures['share']:.2%}) were not answered right."]
    lines += ["", "| group | questions | share of all | |", "|---|---:|---:|---|"]
    lines += [
        f"| {_words(name)} | {g['n']} | {g['share']:.2%} | {g['meaning']} |" for name, g in figures["groups"].items()
    ]
    for name, group in figures["groups"].items():
        lines += [
            "",
            f"### {_words(name)}",
            "",
            "| id | question | gold | answer | evidence |",
            "|---|---|---|---|---|",
        ]
        lines += ["| " + " | ".join(_cell(text) for text in e.values()) + " |" for e in group["examples"]]
    return lines


def _is_doubtful(example: QAExample, row: Row, triples: Sequence[Triple]) -> bool:
    """Say whether the knowledge base disagrees with the gold triple, or says what was answered as plainly.

    It does so if the gold entity has that value too, or another entity whose name is the gold subject's to the letter.
    """
    if example.triple is None:
        return False
    subject, predicate, said = example.triple
    if len(example.answers) == 1 and comparable(said) != comparable(example.answers[0]):
        return True
    gold, told = _gold_entities(example, triples), comparable(row["answer"] or "")
    asked = normalize_attribute(predicate)
    return not gold or any(
        comparable(t.object) == told and normalize_attribute(t.predicate) == asked
        for t in triples
        if t.subject_id in gold or t.subject == subject
    )


def _not_found(example: QAExample, row: Row) -> str:
    """Say what went wrong where nothing was told, and nothing that could have been told is right."""
    if example.triple is None:
        return "other"
    name = plain_name(example.triple[0])
    return "attribute" if any(plain_name(m["entity"]) == name for m in row["mentions"]) else "linking"


def _believed(example: QAExample, row: Row, triples: Sequence[Triple]) -> str:
    """Tell by the triple that the answer rests on; what no candidate says is the generator's own."""
    if not row["candidates"]:
        return "other"
    told = next((c for c in row["candidates"] if c["answer"] == row["answer"]), None)
    if told is None:
        return "generation"
    if example.triple is None or not told["evidence"]:
        return "other"
    said = told["evidence"][0]
    whose, _ = compared(example.triple, said)
    owners = {t.subject_id for t in triples if (t.subject, t.predicate, t.object) == _texts(said)}
    if whose == "other name" and not owners:
        return "linking"
    return "attribute" if owners & _gold_entities(example, triples) else "homonym"


def _gold_entities(example: QAExample, triples: Sequence[Triple]) -> set[int]:
    """Find the entities that have the gold attribute with a gold answer; gold names often leave descriptions out."""
    answers = set(map(comparable, example.answers))
    asked = normalize_attribute(example.triple[1]) if example.triple else None
    return {
        t.subject_id for t in triples if comparable(t.object) in answers and normalize_attribute(t.predicate) == asked
    }


def _texts(said: Mapping[str, Any]) -> tuple[str, str, str]:
    return said["subject"], said["predicate"], said["object"]


def _example(example: QAExample, row: Row) -> dict[str, str]:
    told = next((c for c in row["candidates"] if c["answer"] == row["answer"]), None)
    evidence = told["evidence"][:1] if told else []
    return {
        "id": example.id,
        "question": example.question,
        "gold": " | ".join(example.triple or example.answers),
        "answer": row["answer"] or f"({row['abstained']})",
        "evidence": " | ".join(_texts(evidence[0])) if evidence else "",
    }


def _words(group: str) -> str:
    return group.replace("_", " ")


def _cell(text: str) -> str:
    short = " ".join(text.split())
    return (short if len(short) <= 80 else short[:79] + "…").replace("|", "\\|")
