"""A server for benchmarks: the program itself, in a process of its own, with empty files of feedback and dialogues."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Served", "served"]


@dataclass
class Served:
    """A server that runs: its process, its address, and what it wrote to standard error."""

    process: subprocess.Popen[str]
    url: str
    log: list[str] = field(default_factory=list)


@contextmanager
def served(index: Path, folder: Path, arguments: Sequence[str] = ()) -> Iterator[Served]:
    """Start `kbqa serve` on a free port, and end it; feedback, dialogues and votes go into `folder`."""
    command = [
        sys.executable, "-m", "cli", "serve", "--index", str(index), "--port", "0",
        "--feedback", str(folder / "feedback.sqlite"), "--store", str(folder / "serve.sqlite"), *arguments,
    ]  # fmt: skip
    root = Path(__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    lines: list[str] = []
    found = None
    for line in process.stderr:
        lines.append(line)
        if found := re.search(r"http://\S+", line):
            break
    if found is None:
        raise SystemExit("".join(lines))
    running = Served(process, found[0], lines)
    reader = threading.Thread(target=lambda: lines.extend(process.stderr or ()), daemon=True)
    reader.start()
    try:
        yield running
    finally:
        process.terminate()
        process.wait(60)
        reader.join(10)
