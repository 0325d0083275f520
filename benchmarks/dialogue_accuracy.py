r"""How many turns of dialogues are answered rightly, by kind, beside the same turns asked each on its own.

    python benchmarks/dialogue_accuracy.py benchmarks/dialogues/by-hand-test.jsonl bench.jsonl sample.jsonl \
        --kb bench=BENCH_INDEX --kb sample=SAMPLE_INDEX --record

The files by hand were written by people who did not know the program; the program was made with those of
by-hand-dev.jsonl in view, and not with those of by-hand-test.jsonl. The other files are drawn by dialogue_templates.py.

A turn is right when the answer is an object of one of its gold triples; one that several entities fit (`ask-back`) when
the agent asks back and lists one of them. Alone, without a dialogue, nobody is asked back. Intervals are bootstrapped
over dialogues. With `--record`, one JSON row goes into benchmarks/results/dialogues.json.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from recording import record

from kb_index.knowledge_base import KnowledgeBase
from kb_index.normalize import normalize_attribute
from kbqa_agent.agent import KBQAgent
from kbqa_agent.dialogue import Dialogue
from kbqa_agent.qa_data import comparable
from kbqa_agent.silence import choices_of
from kbqa_agent.types import Answer

SAMPLES = 2000


class Judged(NamedTuple):
    """A turn of the dialogue with this number: its kind, and whether it was answered rightly in it and alone."""

    dialogue: str
    kind: str
    in_dialogue: bool
    alone: bool


def main() -> None:
    """Ask all dialogues and print the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("files", nargs="+", type=Path)
    options.add_argument("--kb", action="append", required=True, help="NAME=INDEX for each knowledge base of the files")
    options.add_argument("--show", action="store_true", help="print each turn that is wrong")
    options.add_argument("--record", action="store_true", help="write the row")
    args = options.parse_args()
    dialogues = [json.loads(line) for f in args.files for line in f.read_text(encoding="utf-8").splitlines()]
    judged: list[Judged] = []
    for name, index in (text.split("=", 1) for text in args.kb):
        with KBQAgent.open(index, model="none") as agent:
            for dialogue in (d for d in dialogues if d["kb"] == name):
                judged += judge(agent, dialogue, args.show)
    table = by_kind(judged)
    by_file = {
        f.name: {json.loads(line)["id"] for line in f.read_text(encoding="utf-8").splitlines()} for f in args.files
    }
    files = {name: by_kind([j for j in judged if j.dialogue in ids])["all"] for name, ids in by_file.items()}
    for kind, row in table.items():
        interval = f"({row['low']:.3f}-{row['high']:.3f})"
        print(f"{kind:20} {row['n']:5}  {row['accuracy']:.3f} {interval}  alone {row['alone']:.3f}")
    for name, row in files.items():
        print(f"{name}: {row}")
    if args.record:
        figures = {"n_dialogues": len(dialogues), "kinds": table, "files": files}
        record("dialogues", figures, ", ".join(f.name for f in args.files))


def judge(agent: KBQAgent, dialogue: dict[str, Any], show: bool) -> list[Judged]:
    """Ask the turns of one dialogue, in it and each alone."""
    state, judged = Dialogue(), []
    for turn in dialogue["turns"]:
        answer, alone = agent.ask(turn["say"], state), agent.ask(turn["say"])
        right = is_right(agent.kb, turn, answer)
        judged.append(Judged(dialogue["id"], turn["kind"], right, is_right(agent.kb, turn, alone)))
        if show and not right:
            print(dialogue["id"], [t["say"] for t in dialogue["turns"]])
            said = f"{answer.question} = {answer.text} ({answer.abstained})"
            print(f"    {turn['kind']}: {turn['say']} -> {said}; gold {turn['gold']}")
    return judged


def is_right(kb: KnowledgeBase, turn: dict[str, Any], answer: Answer) -> bool:
    """Whether an answer is right for a turn, as the module says."""
    if turn["kind"] == "ask-back":
        return bool({c.triple.subject for c in choices_of(answer)} & {subject for subject, _ in turn["gold"]})
    gold = {comparable(o) for subject, predicate in turn["gold"] for o in objects_of(kb, subject, predicate)}
    return answer.text is not None and comparable(answer.text) in gold


def objects_of(kb: KnowledgeBase, subject: str, predicate: str) -> Iterable[str]:
    """The objects of all triples with this subject and predicate."""
    entities = [e.id for e in kb.entities_named(subject) if e.name == subject]
    asked = normalize_attribute(predicate)
    return (t.object for t in kb.triples_of(entities) if normalize_attribute(t.predicate) == asked)


def by_kind(judged: Sequence[Judged]) -> dict[str, dict[str, float]]:
    """Accuracies of each kind and of all, with 95 % intervals."""
    kinds: dict[str, list[Judged]] = defaultdict(list)
    for j in judged:
        kinds[j.kind].append(j)
    later = [j for j in judged if j.kind not in ("first", "topic")]
    return {kind: _accuracy(rows) for kind, rows in (*sorted(kinds.items()), ("follow-ups", later), ("all", judged))}


def _accuracy(rows: Sequence[Judged]) -> dict[str, float]:
    of_dialogue: dict[str, list[bool]] = defaultdict(list)
    for j in rows:
        of_dialogue[j.dialogue].append(j.in_dialogue)
    right = np.array([sum(found) for found in of_dialogue.values()])
    asked = np.array([len(found) for found in of_dialogue.values()])
    at = np.random.default_rng(0).integers(0, len(right), (SAMPLES, len(right)))
    low, high = np.quantile(right[at].sum(axis=1) / asked[at].sum(axis=1), [0.025, 0.975])
    return {
        "n": len(rows),
        "accuracy": round(float(np.mean([j.in_dialogue for j in rows])), 4),
        "low": round(float(low), 4),
        "high": round(float(high), 4),
        "alone": round(float(np.mean([j.alone for j in rows])), 4),
    }


if __name__ == "__main__":
    main()
