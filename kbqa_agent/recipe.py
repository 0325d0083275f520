"""How an agent is opened, so that another process, here or on another machine, opens one that answers alike."""

from __future__ import annotations

import atexit
import gc
from dataclasses import dataclass, replace
from pathlib import Path

from kb_index.errors import IndexFolderError
from kb_index.manifest import Manifest
from kbqa_agent.agent import KBQAgent
from kbqa_agent.config import AgentConfig
from kbqa_agent.feedback import FeedbackStore

__all__ = ["AgentRecipe"]


@dataclass(frozen=True, slots=True)
class AgentRecipe:
    """What `KBQAgent.open` is to be called with; without a model, as long as none is named."""

    index: Path
    config: AgentConfig
    feedback: Path | None = None
    ranker: str | Path | None = None
    model: str | Path | None = "none"
    adapter: str | Path | None = None

    def open(self, feedback: FeedbackStore | None = None) -> KBQAgent:
        """Open it; `feedback` is a store that is open already. Raises: as `KBQAgent.open`."""
        closed_book = self.config.closed_book and self.model != "none"
        config = replace(self.config, closed_book=closed_book)
        return KBQAgent.open(self.index, self.model, self.adapter, config, feedback or self.feedback, self.ranker)

    def open_for_life(self, manifest: Manifest) -> KBQAgent:
        """Open it in a process that does nothing else, over the state of the index that its caller has.

        Raises: as `open`; IndexFolderError when the index has been changed since.
        """
        agent = self.open()
        if agent.kb.manifest != manifest:
            agent.close()
            raise IndexFolderError(f"index '{self.index}': was changed since it was opened; open it again")
        agent.kb.preload()
        gc.freeze()  # garbage collections would go through all of it again and again
        atexit.register(gc.unfreeze)  # what is held at the end is freed in order only if it can be collected
        return agent

    def without_model(self) -> AgentRecipe:
        """The same for who leaves generators to others."""
        return replace(self, model="none", adapter=None)

    def from_anywhere(self) -> AgentRecipe:
        """The same with whole paths, for a process that is in another folder."""
        return replace(
            self,
            index=self.index.resolve(),
            feedback=self.feedback.resolve() if self.feedback else None,
            ranker=_whole(self.ranker),
            model=_whole(self.model),
            adapter=_whole(self.adapter),
        )


def _whole(name: str | Path | None) -> str | Path | None:
    """The whole path of what is a file or folder here; what is a name stays one."""
    return str(Path(name).resolve()) if name is not None and Path(name).exists() else name
