"""How many workers find a place on the machines of a Ray cluster."""

from __future__ import annotations

from math import inf
from typing import Any

__all__ = ["n_places"]


def n_places(ray: Any, cpus: float, gpus: float) -> int:
    """Count how many workers that reserve so much, each on one machine, the machines that there are have room for."""
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    room = (min(of.get("CPU", 0) / cpus, of.get("GPU", 0) / gpus if gpus else inf) for of in machines)
    return sum(map(int, room))
