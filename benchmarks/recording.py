"""One JSON file of benchmarks/results/: the figures, with the command, commit, machine and data they come from."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

__all__ = ["record"]

RESULTS = Path(__file__).parent / "results"


def record(name: str, figures: Mapping[str, Any], data: str) -> None:
    """Print the figures of this run, and write them to results/NAME.json."""
    row = {
        "command": " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]]),
        "commit": subprocess.run(["git", "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout[:-1],
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "data": data,
        **figures,
    }
    text = json.dumps(row, ensure_ascii=False, indent=1)
    (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    print(text, flush=True)
