"""The stages of a long job: a progress bar on standard error for each, and how long each one took."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["Stages"]


class Stages:
    """Shows the stages one after the other and remembers their seconds in `seconds`."""

    def __init__(self, *, shown: bool) -> None:
        self.seconds: dict[str, float] = {}
        self._shown = shown

    @contextmanager
    def stage(self, name: str, total: int, unit: str) -> Iterator[Any]:
        """Yield a tqdm bar of `total` units; on a terminal only, and nowhere if the stages are not shown."""
        from tqdm import tqdm

        start = time.perf_counter()
        scale = total > 1000
        with tqdm(
            total=total, desc=f"{name:8}", unit=unit, unit_scale=scale, disable=None if self._shown else True
        ) as bar:
            yield bar
        self.seconds[name] = round(time.perf_counter() - start, 3)
