"""Train the ranker that ships in the package: on made-up entities, the embedded sample and generated questions alone.

    python scripts/train_default_ranker.py [--entities 5000] [--questions 8000] [--seed 0]

Writes kbqa_agent/data/ranker/. Nothing of a benchmark's questions or triples takes part.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from finetune.generated import questions_from_triples
from finetune.ranker import RankerConfig, train_ranker
from finetune.synthetic import synthetic_entities
from kb_index import KnowledgeBase, build_index
from kb_index.types import Triple
from kbqa_agent.qa_data import read_questions
from kbqa_agent.ranking import DEFAULT_RANKER
from kbqa_agent.sample import sample_train, sample_triples
from kbqa_agent.types import QAExample

ENTITIES, QUESTIONS = 5000, 8000
UNANSWERABLE = 0.1
CHANCE_NAMES = 0.5
"""Made-up entities named like a stretch of a question, for each question: in a large knowledge base nearly every
common word is some entity's name."""


def main() -> None:
    """Make the knowledge base and the questions, train, write."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--entities", type=int, default=ENTITIES)
    options.add_argument("--questions", type=int, default=QUESTIONS)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--out", type=Path, default=DEFAULT_RANKER)
    args = options.parse_args()
    examples, named = material(args.entities, args.questions, args.seed)
    with tempfile.TemporaryDirectory() as folder:
        made_up = Path(folder) / "made-up.kb"
        made_up.write_text("".join(f"{t.subject} ||| {t.predicate} ||| {t.object}\n" for t in named), encoding="utf-8")
        build_index([made_up, sample_triples()], Path(folder) / "index")
        with KnowledgeBase.open(Path(folder) / "index") as kb:
            print(train_ranker(kb, examples, args.out, RankerConfig(seed=args.seed)))


def material(n_entities: int, n_questions: int, seed: int) -> tuple[list[QAExample], list[Triple]]:
    """The questions that are trained on, and the triples that the index holds beside those of the sample."""
    entities = synthetic_entities(n_entities, seed)
    triples = [t for entity in entities for t in entity]
    generated = questions_from_triples(triples, n_questions, seed)
    asked = read_questions(sample_train())
    examples = [replace(e, id=f"g{i}") for i, e in enumerate(generated)] + [replace(e, id=f"s{e.id}") for e in asked]
    examples, known = _withhold(examples, triples, seed)
    return examples, [*known, *_chance_entities(examples, entities, seed)]


def _withhold(
    examples: Sequence[QAExample], triples: Sequence[Triple], seed: int
) -> tuple[list[QAExample], list[Triple]]:
    """Make a share of the questions unanswerable: half of them lose the attribute asked for, half the whole entity."""
    rng = random.Random(seed)
    chosen = {e.id: rng.random() < 0.5 for e in examples if e.triple and rng.random() < UNANSWERABLE}
    facts = {e.triple[:2] for e in examples if e.triple and e.id in chosen}
    entities = {e.triple[0] for e in examples if e.triple and chosen.get(e.id)}
    known = [t for t in triples if t.subject not in entities and (t.subject, t.predicate) not in facts]
    left = {(t.subject, t.predicate) for t in known}
    made_up = {t.subject for t in triples}
    asked = [
        replace(e, answers=(), triple=None) if e.triple and e.triple[0] in made_up and e.triple[:2] not in left else e
        for e in examples
    ]
    return asked, known


def _chance_entities(examples: Sequence[QAExample], entities: list[list[Triple]], seed: int) -> list[Triple]:
    """Entities named like two to five characters of a question, each with the attributes of some other entity."""
    rng = random.Random(seed)
    found = []
    for example in rng.sample(list(examples), int(CHANCE_NAMES * len(examples))):
        size = rng.choice((2, 2, 3, 3, 4, 5))
        start = rng.randrange(max(1, len(example.question) - size))
        name = example.question[start : start + size].strip("，。？“”《》、 ")
        if len(name) > 1:
            found += [t._replace(subject=name) for t in rng.choice(entities)]
    return found


if __name__ == "__main__":
    main()
