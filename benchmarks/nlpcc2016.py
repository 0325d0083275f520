"""The reference task from a triple file to a scored test set: every row of the README's table.

    python benchmarks/nlpcc2016.py --data ../shared/data/nlpcc2016 --work runs/nlpcc2016 [--only index default ...]

Each step is one `kbqa` command, and writes one JSON row (command, commit, machine, data, figures) into
benchmarks/results/. `always` and `never` ask the same questions, drawn at random, with and without the generator.
`kgclue` asks KgCLUE's dev questions of the ranker that the task's questions trained, `trained-kgclue` of one that its
own did. With `--encoder FOLDER`, `ranker-encoder` and `trained-encoder` train and ask a ranker with that transformer
encoder, over an index of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
KB = "bench.kbqa.kb"
TRAIN = "nlpcc-iccpol-2016.kbqa.training-data"
TEST = "nlpcc-iccpol-2016.kbqa.testing-data"
ANSWERABLE = "0.99"
"""Every question of the task has its answer in the knowledge base; of the training file's, 0.996 are found there."""


def main() -> None:
    """Run the steps in order."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", type=Path, required=True, help="folder of the task's files")
    options.add_argument("--work", type=Path, required=True, help="folder for indexes and reports")
    options.add_argument("--drawn", default="1000", help="questions of the steps with a generator, and of --index")
    options.add_argument("--encoder", help="folder or hub name of a transformer encoder; default: no steps with one")
    options.add_argument("--only", nargs="*", help="names of steps; default: all")
    options.add_argument("--index", type=Path, help="ask this index, with the ranker in it, and do nothing else")
    args = options.parse_args()
    commands = steps(args.data, args.work, args.drawn) | kgclue_steps(args.data.parent / "kgclue", args.data, args.work)
    if args.encoder:
        commands |= encoder_steps(args.data, args.work, args.encoder)
    if args.index:
        name = f"trained-on-{args.index.name}"
        asked = ["--questions", str(args.data / TEST), "--limit", args.drawn, "--model", "none"]
        asked += ["--answerable", ANSWERABLE]
        commands = {name: ["eval", "--index", str(args.index), *asked, "--out", str(args.work / name)]}
    for name, command in commands.items():
        if args.only is None or name in args.only:
            record(name, command)


def steps(data: Path, work: Path, drawn: str) -> dict[str, list[str]]:
    """The commands by name."""
    plain, tuned = str(work / "index"), str(work / "index-default")

    def evaluation(name: str, index: str, *more: str) -> list[str]:
        return ["eval", "--index", index, "--questions", str(data / TEST), "--out", str(work / name), *more]

    some = ("--limit", drawn, "--seed", "0")
    return {
        "index": ["index", str(data / KB), "--out", plain],
        "index-default": ["index", str(data / KB), "--out", tuned],
        "default": evaluation("default", tuned, "--model", "none"),
        "ranker": ["finetune", "ranker", "--questions", str(data / TRAIN), "--index", plain, "--model", "embedded"],
        "trained": evaluation("trained", plain, "--model", "none", "--answerable", ANSWERABLE),
        "trained-silence": evaluation("trained-silence", plain, "--model", "none", "--unanswerable"),
        "trained-never": evaluation("trained-never", plain, "--generator", "never", *some),
        "trained-always": evaluation("trained-always", plain, "--generator", "always", *some),
        "default-never": evaluation("default-never", tuned, "--generator", "never", *some),
        "default-always": evaluation("default-always", tuned, "--generator", "always", *some),
        "sft": [
            *("finetune", "sft", "--questions", str(data / TRAIN), "--index", plain, "--out", str(work / "adapter")),
            *("--limit", "400", "--steps", "30"),
        ],
    }


def kgclue_steps(kgclue: Path, data: Path, work: Path) -> dict[str, list[str]]:
    """The commands over the same triples with the questions of KgCLUE."""
    asked = ("--questions", str(kgclue / "dev.json"), "--model", "none", "--answerable", ANSWERABLE)
    own = ("--index", str(work / "index-kgclue"))
    return {
        "kgclue": ["eval", "--index", str(work / "index"), *asked, "--out", str(work / "kgclue")],
        "index-kgclue": ["index", str(data / KB), "--out", str(work / "index-kgclue")],
        "ranker-kgclue": [
            *("finetune", "ranker", "--questions", str(kgclue / "train.json"), *own),
            "--new-attributes",
            "1",
        ],
        "trained-kgclue": ["eval", *own, *asked, "--out", str(work / "trained-kgclue")],
    }


def encoder_steps(data: Path, work: Path, encoder: str) -> dict[str, list[str]]:
    """The commands of a ranker that has a transformer encoder; `index-encoder` is built like `index`."""
    index = ("--index", str(work / "index-encoder"))
    trained = ("--questions", str(data / TRAIN), "--encoder", encoder)
    tested = ("--questions", str(data / TEST), "--out", str(work / "trained-encoder"), "--model", "none")
    return {
        "index-encoder": ["index", str(data / KB), "--out", str(work / "index-encoder")],
        "ranker-encoder": ["finetune", "ranker", *index, *trained],
        "trained-encoder": ["eval", *index, *tested],
    }


def record(name: str, command: list[str]) -> None:
    """Run one command and write its row."""
    print("$ kbqa", *command, flush=True)
    describe = ["git", "describe", "--always", "--abbrev=40", "--dirty"]
    commit = subprocess.run(describe, check=True, capture_output=True, text=True).stdout.strip()
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "cli", *command], check=True, stdout=subprocess.PIPE, text=True)
    questions = [Path(command[command.index("--questions") + 1]).name] if "--questions" in command else []
    row: dict[str, Any] = {
        "command": " ".join(["kbqa", *command]),
        "commit": commit,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "data": ", ".join(([] if name.startswith("trained-on-") else [KB]) + questions),
        "wall_seconds": round(time.perf_counter() - started, 1),
        "output": done.stdout.strip().splitlines()[-1] if command[0] != "eval" else None,
    }
    if command[0] == "eval":
        report = json.loads(Path(command[command.index("--out") + 1], "report.json").read_text(encoding="utf-8"))
        kept = ("n_questions", "questions_per_second", "system", "metrics", "ceiling", "confidence_intervals")
        row |= {key: report[key] for key in kept}
        row["confidence"] = {key: report["risk_coverage"][key] for key in ("aurc", "ece", "intervals")}
        row["answerable"] = report.get("answerable")
        if silence := report.get("unanswerable"):
            row["unanswerable"] = {key: value for key, value in silence.items() if key != "curve"}
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(row, ensure_ascii=False, indent=1)
    (RESULTS / f"nlpcc2016-{name}.json").write_text(text + "\n", encoding="utf-8")
    print(done.stdout, flush=True)


if __name__ == "__main__":
    main()
