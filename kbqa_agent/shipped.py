"""The LoRA adapter that ships in this package, for the embedded model, and the name by which it is asked for."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

__all__ = ["SHIPPED", "locate_adapter", "shipped_adapter"]

SHIPPED = "shipped"


def shipped_adapter() -> Path | None:
    """Give the folder of the adapter that ships in this package, or None where there is none."""
    folder = Path(str(files("kbqa_agent"))) / "data" / "adapter"
    return folder if (folder / "adapter_config.json").is_file() else None


def locate_adapter(adapter: str | Path) -> Path:
    """Turn what the user calls an adapter into its folder; "shipped" is the one in this package."""
    return (shipped_adapter() if str(adapter) == SHIPPED else None) or Path(adapter)
