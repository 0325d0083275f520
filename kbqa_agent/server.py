"""The web application: `create_app(agent, settings)` makes it, `run_server` runs it until a signal; needs `[serve]`.

Each part loads when it is first named, so that nothing of a web framework is needed to import this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kbqa_agent.lazy_parts import load_part

if TYPE_CHECKING:
    from kbqa_agent.recipe import AgentRecipe
    from kbqa_agent.serving.app import create_app
    from kbqa_agent.serving.callers import Keys
    from kbqa_agent.serving.mcp_stdio import run_mcp
    from kbqa_agent.serving.opening import open_app
    from kbqa_agent.serving.ray_serve import Replicas, run_replicas
    from kbqa_agent.serving.running import run_server
    from kbqa_agent.serving.settings import ServeSettings
    from kbqa_agent.serving.systems import System

__all__ = [
    "AgentRecipe",
    "Keys",
    "Replicas",
    "ServeSettings",
    "System",
    "create_app",
    "open_app",
    "run_mcp",
    "run_replicas",
    "run_server",
]

_LAZY = {
    "AgentRecipe": "kbqa_agent.recipe",
    "Keys": "kbqa_agent.serving.callers",
    "Replicas": "kbqa_agent.serving.ray_serve",
    "ServeSettings": "kbqa_agent.serving.settings",
    "System": "kbqa_agent.serving.systems",
    "create_app": "kbqa_agent.serving.app",
    "open_app": "kbqa_agent.serving.opening",
    "run_mcp": "kbqa_agent.serving.mcp_stdio",
    "run_replicas": "kbqa_agent.serving.ray_serve",
    "run_server": "kbqa_agent.serving.running",
}
_EXTRA = ("fastapi", "starlette", "uvicorn", "mcp", "mcp_types", "prometheus_client", "pydantic")


def __getattr__(name: str) -> Any:
    return load_part(__name__, name, _LAZY, "serve", _EXTRA)
