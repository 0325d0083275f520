"""The stages of a long job: a progress bar on standard error for each, and the time and memory that each one took."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["StageCost", "Stages"]


class StageCost(NamedTuple):
    """What a stage took: seconds, and the largest resident memory of the process meanwhile in bytes.

    Where the operating system cannot tell a stage's own peak (only Linux can), it is the largest so far.
    """

    seconds: float
    peak_bytes: int


class Stages:
    """Shows the stages one after the other and remembers in `costs` what each one took."""

    def __init__(self, *, shown: bool) -> None:
        self.costs: dict[str, StageCost] = {}
        self._shown = shown

    @contextmanager
    def stage(self, name: str, total: int, unit: str) -> Iterator[Any]:
        """Yield a tqdm bar of `total` units; on a terminal only, and nowhere if the stages are not shown."""
        from tqdm import tqdm

        _forget_peak()
        start = time.perf_counter()
        scale = total > 1000
        with tqdm(
            total=total, desc=f"{name:8}", unit=unit, unit_scale=scale, disable=None if self._shown else True
        ) as bar:
            yield bar
        self.costs[name] = StageCost(round(time.perf_counter() - start, 3), _peak_bytes())


def _forget_peak() -> None:
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # proc(5): resets the peak resident size


def _peak_bytes() -> int:
    with suppress(OSError):
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmHWM:"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak << 10
