"""Several LoRA adapters on one model in memory, unmerged: each answer is given by the adapter that is asked.

One at a time: an adapter is switched on for each pass through the model, under a lock. Adapters cost no copy of the
model; one that is merged into its own copy (`load_generator`) answers a little faster.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from kbqa_agent.causal_models import EMBEDDED, load_model, quiet, with_adapter
from kbqa_agent.generation import EMBEDDED_NAME, HuggingFaceGenerator
from kbqa_agent.shipped import locate_adapter

__all__ = ["SharedModel"]


class SharedModel:
    """A model that generators with different adapters share; safe to use from several threads.

    Raises:
        MissingExtraError: the packages for models are not installed.
        ModelError: no such model, or no network to fetch it.
    """

    def __init__(self, model: str | Path | None = None, dtype: Any = None, progress: bool = True) -> None:
        self._open = partial(load_model, model, dtype=dtype, progress=progress)
        self._network, self._tokenizer = self._open()
        self._network.eval()
        self._name = EMBEDDED_NAME if model is None or str(model) == EMBEDDED else Path(str(model)).name
        self._adapters: dict[Path, str] = {}
        self._active: str | None = None
        self._lock = threading.RLock()

    def generator(self, adapter: str | Path | None = None) -> HuggingFaceGenerator:
        """Give a generator that answers with an adapter's folder on the model; without one, the bare model.

        Raises: ModelError when the adapter is missing or was made for another model; those loaded before still answer.
        """
        if adapter is None:
            return HuggingFaceGenerator(_Switched(self, None), self._tokenizer, self._name)
        folder = locate_adapter(adapter).resolve()
        with self._lock:
            if folder not in self._adapters:
                self._load(folder, f"adapter{len(self._adapters)}")
            switched = _Switched(self, self._adapters[folder])
        return HuggingFaceGenerator(switched, self._tokenizer, f"{self._name}+{folder.name}", str(adapter))

    @contextmanager
    def switched_to(self, adapter: str | None) -> Iterator[Any]:
        """Give the network with one adapter on, or none, and keep other threads waiting meanwhile."""
        with self._lock:
            if adapter is not None and adapter != self._active:
                self._network.set_adapter(adapter, inference_mode=True)
                self._active = adapter
            with self._network.disable_adapter() if adapter is None and self._adapters else nullcontext(), quiet():
                yield self._network

    def _load(self, folder: Path, name: str) -> None:
        try:
            self._network = with_adapter(self._network, folder, name=name).eval()
        except BaseException:
            if not self._adapters:  # half of the adapter may be in the bare model, which has no way to take it out
                self._network = self._open()[0].eval()
            elif name in self._network.peft_config:
                self._network.delete_adapter(name)
                self._active = None
            raise
        self._adapters[folder] = name
        self._active = None


class _Switched:
    """What a generator takes for its model: the shared one, with the right adapter at every call."""

    def __init__(self, shared: SharedModel, adapter: str | None) -> None:
        self._shared, self._adapter = shared, adapter

    def __call__(self, *args: Any, **options: Any) -> Any:
        with self._shared.switched_to(self._adapter) as network:
            return network(*args, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._shared._network, name)

    def generate(self, *args: Any, **options: Any) -> Any:
        with self._shared.switched_to(self._adapter) as network:
            return network.generate(*args, **options)
