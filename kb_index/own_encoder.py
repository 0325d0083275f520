"""The encoder of an open index, which is loaded when it is first asked for."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from kb_index.encoder import Encoder, open_encoder
from kb_index.errors import EncoderMismatchError
from kb_index.layer import SameFile
from kb_index.manifest import Manifest

__all__ = ["OwnEncoder"]


class OwnEncoder:
    """The encoder that an index was made with, loaded when it is first asked for."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self._folder, self._made_with = folder, manifest.encoder
        self._file = SameFile(folder / "encoder" / "model.safetensors")

    @cached_property
    def opened(self) -> Encoder:
        """Give it; `KnowledgeBase.encoder` lists what can go wrong."""
        self._file.path()
        encoder = open_encoder(self._made_with.name, self._folder / "encoder")
        if encoder.dim != self._made_with.dim:
            raise EncoderMismatchError(
                f"index '{self._folder}': made with encoder {self._made_with.name!r} (dim {self._made_with.dim}), "
                f"which now has dim {encoder.dim}; build the index again"
            )
        return encoder
