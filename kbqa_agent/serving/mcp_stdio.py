"""The tools over standard input and output, for an assistant that starts this program itself."""

from __future__ import annotations

import asyncio

from kbqa_agent.agent import KBQAgent
from kbqa_agent.serving.mcp_tools import mcp_server
from kbqa_agent.serving.metrics import Metrics
from kbqa_agent.serving.service import Service
from kbqa_agent.serving.settings import ServeSettings
from kbqa_agent.serving.status_routes import installed_version
from kbqa_agent.serving.systems import Source, systems_of

__all__ = ["run_mcp"]


def run_mcp(agent: KBQAgent) -> None:
    """Serve an agent to one assistant until its input ends."""
    service = Service(Source(agent, systems_of(agent)), ServeSettings(), Metrics())
    try:
        asyncio.run(mcp_server(service, installed_version()).run_stdio_async())
    finally:
        service.close()
