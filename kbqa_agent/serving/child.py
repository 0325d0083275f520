"""Starts a module of ours as a process that is talked to over a pipe, and ends with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from multiprocessing import Pipe
from multiprocessing.connection import Connection

__all__ = ["END_SECONDS", "end_child", "outlive_signals", "start_child", "start_child_with"]

END_SECONDS = 5.0


def start_child(module: str) -> tuple[subprocess.Popen[bytes], Connection]:
    """Start it anew, so that nothing of this process's threads is copied and its main module is not run again.

    It finds the descriptor of its end as its only argument, and gets no signal of the terminal.
    """
    process, (ours,) = start_child_with(module, 1)
    return process, ours


def start_child_with(module: str, pipes: int) -> tuple[subprocess.Popen[bytes], list[Connection]]:
    """Start it with several pipes, whose descriptors are its arguments."""
    pairs = [Pipe() for _ in range(pipes)]
    theirs = [end.fileno() for _, end in pairs]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    # -P: what lies in the folder that the server happens to be started in is no code of ours.
    command = [sys.executable, "-P", "-m", module, *map(str, theirs)]
    with ExitStack() as ends:
        for _, end in pairs:
            ends.enter_context(end)
        process = subprocess.Popen(command, env=environment, pass_fds=theirs, stdin=subprocess.DEVNULL, process_group=0)
    return process, [ours for ours, _ in pairs]


def end_child(process: subprocess.Popen[bytes], *ours: Connection) -> None:
    """Close our ends, wait until the process has ended, and kill it where it does not."""
    for end in ours:
        end.close()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def outlive_signals() -> None:
    """In the child: go on when all processes of a service are told to end, until the other end says so."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
