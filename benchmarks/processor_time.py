"""The processor seconds of a program and of all that it starts, of its daemons too: Ray's outlive their parents.

What is started is known by a variable of its environment, and looked at a few times a second, so that a process may
lose what it did since the last look before it ended.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import threading
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import psutil

__all__ = ["Lap", "laps"]

MARK = "KBQA_BENCHMARK_RUN"
LOOK_SECONDS = 0.2


class Lap(NamedTuple):
    """A line that the program printed, and the processor seconds that all of it had taken until then."""

    line: str
    processor_seconds: float


def laps(command: Sequence[str]) -> Iterator[Lap]:
    """Run a program, and give each line that it prints; at the end one that is empty. Raises: CalledProcessError."""
    run = secrets.token_hex(8)
    seconds: dict[tuple[int, float], float] = {}
    ended = threading.Event()

    def look() -> float:
        for process in psutil.process_iter():
            try:
                known = process.pid, process.create_time()
                # A process that gives itself a title, as Ray's do, may lose its environment by that.
                if known in seconds or process.environ().get(MARK) == run:
                    times = process.cpu_times()
                    seconds[known] = times.user + times.system
            except psutil.Error:
                continue
        return sum(seconds.values())

    def keep_looking() -> None:
        while not ended.wait(LOOK_SECONDS):
            look()

    watching = threading.Thread(target=keep_looking)
    with subprocess.Popen(command, env={**os.environ, MARK: run}, stdout=subprocess.PIPE, text=True) as process:
        watching.start()
        try:
            for line in process.stdout or ():
                yield Lap(line.rstrip("\n"), look())
        finally:
            ended.set()
            watching.join()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    yield Lap("", sum(seconds.values()))
