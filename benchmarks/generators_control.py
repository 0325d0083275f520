"""What `generators.py` compares with: questions that no training sees, and RAFT without its choice of what to train on.

The control of RAFT goes on from the same adapter, stage by stage, with as many rows, in as many steps and at the same
rates, on gold answers of prompts drawn from those that the stage sampled from. What RAFT gains over it comes from which
prompts and answers it kept, and not from more training.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

from finetune import sft
from finetune.overlap import asked
from finetune.raft_config import RaftConfig
from finetune.raft_samples import read_kept, read_samples
from finetune.raft_stage import copy_adapter
from kbqa_agent.qa_data import draw, read_questions, write_nlpcc
from kbqa_agent.text2text import Text2TextRow, write_text2text

HELD_OUT = 200


def part_questions(file: Path, work: Path) -> tuple[Path, Path]:
    """Write `HELD_OUT` questions of a file, and all others, into two files of the work folder, once."""
    training, held_out = work / "train.nlpcc", work / "held-out.nlpcc"
    if not training.exists():
        work.mkdir(parents=True, exist_ok=True)
        examples = read_questions(file)
        apart = draw(list({asked(e.question): e for e in examples}.values()), HELD_OUT, seed=0)
        taken = {asked(e.question) for e in apart}
        write_nlpcc(apart, held_out)
        write_nlpcc([e for e in examples if asked(e.question) not in taken], training)
    return training, held_out


def train_control(raft: Path, out: Path) -> None:
    """Train the control of the RAFT in the folder `raft`, up to its best stage; what is finished is not done again."""
    record = json.loads((raft / "record.json").read_text(encoding="utf-8"))
    settings, best = record["config"], record["result"]["best"]
    config = RaftConfig(
        questions=Path(settings["questions"]),
        out=out,
        model=settings["model"],
        learning_rate=settings["learning_rate"],
        epochs=settings["epochs"],
        rows_per_step=settings["rows_per_step"],
        rows_at_once=settings["rows_at_once"],
        max_tokens=settings["max_tokens"],
        seed=settings["seed"],
    )
    adapter = Path(settings["adapter"])
    for stage in range(1, best + 1):
        folder = out / "stages" / str(stage)
        rows = gold_rows(raft / "stages" / str(stage), stage)
        if not (folder / "adapter_config.json").exists():
            folder.mkdir(parents=True, exist_ok=True)
            write_text2text(rows, folder / "rows.json")
            training = config.training(folder / "rows.json", folder, adapter, settings["seed"] * 1_000 + stage)
            sft.train(training, [(row,) for row in rows])
        adapter = folder
    copy_adapter(adapter, out)


def gold_rows(stage: Path, seed: int) -> list[Text2TextRow]:
    """Draw as many of the prompts that a stage sampled from as it kept rows, each with its gold answer."""
    prompts = [drawn.prompt for drawn in read_samples(stage / "samples.jsonl")]
    n_rows = len(read_kept(stage / "kept.jsonl"))
    drawn = random.Random(seed).sample(prompts, min(n_rows, len(prompts)))
    return [Text2TextRow(prompt.text, prompt.target) for prompt in drawn]
