r"""Train the LoRA adapter that ships in kbqa_agent/data/adapter, on made-up entities and on the packaged sample.

    python scripts/train_adapter.py --steps 180
    python scripts/train_adapter.py --steps 320 --start kbqa_agent/data/adapter --asked 6 --sample --rows-per-step 4 \
        --learning-rate 8e-4 --seed 8

A row shows 3 to 12 triples, of one entity or of two, in random order, and asks some questions about them, none of which
sees the others; one question in eight asks for what is not there and is answered with 不知道. It reads no test set.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import shutil
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from finetune import sft
from finetune.config import SFTConfig
from finetune.generated import plain_name, questions_from_triples
from finetune.synthetic import synthetic_entities
from kb_index.types import Triple
from kbqa_agent.prompts import UNKNOWN, answer_prompt, answer_text, closed_book_prompt
from kbqa_agent.qa_data import read_questions
from kbqa_agent.sample import sample_test, sample_train, sample_triples
from kbqa_agent.types import QAExample

SHIPPED = Path(__file__).parents[1] / "kbqa_agent" / "data" / "adapter"
MIN_TRIPLES, MAX_TRIPLES = 3, 12
UNKNOWN_SHARE = 0.12
SHORT_SHARE = 0.5
OTHER_ENTITY_SHARE, HOMONYM_SHARE = 0.25, 0.15

RECORD = """# How this adapter was trained

SmolLM2-135M-Instruct (Apache-2.0) with LoRA of rank 16 on all linear layers. The rows are generated questions about
made-up entities (`finetune.synthetic`) and, with `--sample`, the packaged sample's training questions and generated
ones about entities that its test questions do not name. No test question was trained on, and nothing of NLPCC, KgCLUE
or MetaQA was read.
"""

Conversation = list[tuple[str, str]]


def conversations(
    triples: Sequence[Triple], questions: Sequence[QAExample], a_row: int, rng: random.Random
) -> Iterator[Conversation]:
    """Turn the questions about each entity into rows of at most `a_row` questions."""
    by_subject: dict[str, list[Triple]] = defaultdict(list)
    by_predicate: dict[str, list[str]] = defaultdict(list)
    for triple in triples:
        by_subject[triple.subject].append(triple)
        by_predicate[triple.predicate].append(triple.subject)
    asked: dict[str, list[QAExample]] = defaultdict(list)
    for question in questions:
        if question.triple:
            asked[question.triple[0]].append(question)
    for subject, all_asked in asked.items():
        for start in range(0, len(all_asked), a_row):
            batch = all_asked[start : start + a_row]
            predicate = batch[0].triple[1] if batch[0].triple else ""
            companion = by_subject[rng.choice(by_predicate[predicate])]
            yield conversation(batch, by_subject[subject], companion, rng)


def conversation(
    questions: Sequence[QAExample], own: Sequence[Triple], companion: Sequence[Triple], rng: random.Random
) -> Conversation:
    """Show some triples and ask the questions about them, one after another."""
    unknown = {q.triple for q in questions if rng.random() < UNKNOWN_SHARE}
    golds = {q.triple for q in questions} - unknown
    asked = {t[1] for t in golds | unknown if t}
    shown = [t for t in own if (t.subject, t.predicate, t.object) in golds]
    fillers = [t for t in own if t.predicate not in asked]
    rng.shuffle(fillers)
    shown += fillers[: max(0, rng.randint(MIN_TRIPLES, MAX_TRIPLES) - len(shown))]
    kind = rng.random()
    if kind < OTHER_ENTITY_SHARE:
        others = [t for t in companion if plain_name(t.subject) != plain_name(own[0].subject)]
        shown += rng.sample(others, min(len(others), rng.randint(1, 5)))
    elif kind < OTHER_ENTITY_SHARE + HOMONYM_SHARE:
        namesake = f"{plain_name(own[0].subject)}({companion[0].object[:8]})"
        others = [t._replace(subject=namesake) for t in companion if t.predicate not in asked]
        shown += rng.sample(others, min(len(others), rng.randint(1, 5)))
    rng.shuffle(shown)
    shown = shown[:MAX_TRIPLES]
    if rng.random() < 0.5:
        shown.sort(key=lambda t: t.subject)
    there = {(t.subject, t.predicate, t.object) for t in shown}
    pairs = [(q.question, answer_text(q.triple[2]) if q.triple in there else UNKNOWN) for q in questions if q.triple]
    (first, answer), *more = pairs
    return [(answer_prompt(first, shown), answer), *((closed_book_prompt(q), a) for q, a in more)]


def made_up_rows(n_entities: int, a_row: int, rng: random.Random, seed: int) -> Iterator[Conversation]:
    """Make rows about entities that do not exist, half of them with values cut short: those are cheap to read."""
    triples = [
        triple._replace(object=triple.object[: rng.randint(2, 5)].strip()) if cut else triple
        for entity in synthetic_entities(n_entities, seed)
        for cut in [rng.random() < SHORT_SHARE]
        for triple in entity
    ]
    n_questions = n_entities * max(3, a_row - 1)
    return conversations(triples, questions_from_triples(triples, n_questions, seed), a_row, rng)


def sample_rows(a_row: int, rng: random.Random, seed: int) -> Iterator[Conversation]:
    """Make rows of the sample's training questions and of generated ones, about no entity that it tests."""
    tested = {plain_name(q.triple[0]) for q in read_questions(sample_test()) if q.triple}
    lines = [line.split(" ||| ") for line in sample_triples().read_text(encoding="utf-8").splitlines()]
    ids = {subject: number for number, subject in enumerate(dict.fromkeys(line[0] for line in lines))}
    triples = [
        Triple(number, subject, predicate, value, ids[subject])
        for number, (subject, predicate, value) in enumerate(lines)
        if plain_name(subject) not in tested
    ]
    questions = [q for q in read_questions(sample_train()) if q.triple and q.triple[0] in ids]
    questions += questions_from_triples(triples, 3 * len(questions), seed)
    return conversations(triples, questions, a_row, rng)


def ship(result: sft.SFTResult, command: str, goes_on: bool) -> None:
    """Copy the adapter into the package, with the record of its training."""
    SHIPPED.mkdir(parents=True, exist_ok=True)
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        shutil.copyfile(result.out / name, SHIPPED / name)
    record = json.loads((result.out / "record.json").read_text(encoding="utf-8"))
    settings = record["config"]
    versions = ", ".join(f"{name} {number}" for name, number in record["versions"].items())
    before = (SHIPPED / "TRAINING.md").read_text(encoding="utf-8") if goes_on else RECORD
    stage = f"""
## `{command}`

- {result.n_rows} rows (SHA-256 {record["rows_sha256"]}).
- {result.steps} steps of {settings["rows_per_step"]} rows in {result.seconds / 60:.0f} minutes on 2 shared cores
  ({result.tokens_per_second:.0f} tokens a second), learning rate {settings["learning_rate"]}, seed {settings["seed"]}.
- Loss on validation rows (nats a token of the answers): {result.loss_before:.3f} before, {result.loss_after:.3f} after.
- Versions: {versions}.
"""
    (SHIPPED / "TRAINING.md").write_text(before + stage, encoding="utf-8")


def main() -> None:
    """Build the rows, train, and put the adapter into the package."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("build/adapter"))
    parser.add_argument("--start", type=Path, help="an adapter to go on from")
    parser.add_argument("--steps", type=int, default=180)
    parser.add_argument("--entities", type=int, default=2600)
    parser.add_argument("--asked", type=int, default=4, help="questions a row, at most")
    parser.add_argument("--sample", action="store_true", help="train on the packaged sample as well")
    parser.add_argument("--rows-per-step", type=int, default=8)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--resume", action="store_true")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    config = SFTConfig(
        data=Path("made-up entities and the packaged sample"),
        out=options.out,
        adapter=options.start,
        learning_rate=options.learning_rate,
        rows_per_step=options.rows_per_step,
        max_steps=options.steps,
        validation_share=0.02,
        save_every=25,
        validate_every=50,
        max_tokens=640,
        rows_at_once=4,
        seed=options.seed,
        resume=options.resume,
    )
    rng = random.Random(options.seed)
    rows = list(made_up_rows(options.entities, options.asked, rng, options.seed))
    if options.sample:
        rows += sample_rows(options.asked, rng, options.seed)
    rng.shuffle(rows)
    result = sft.train(config, rows)
    arguments = [argument for argument in sys.argv[1:] if argument != "--resume"]
    ship(result, " ".join(["python scripts/train_adapter.py", *arguments]), goes_on=options.start is not None)
    print(json.dumps({"steps": result.steps, "loss_before": result.loss_before, "loss_after": result.loss_after}))


if __name__ == "__main__":
    main()
