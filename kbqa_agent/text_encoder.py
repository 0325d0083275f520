"""A frozen transformer encoder, which a user names: vectors of short texts, and of each token of a question.

Any Hugging Face encoder (BERT and its like, the folder of a SentenceTransformer), by folder or by name on the hub. The
vector of a text is always the mean over its tokens: another pooling that a `modules.json` asks for is not followed. The
model runs on the processor in 32-bit floats and is never trained.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from kb_index.errors import MissingExtraError, ModelError
from kbqa_agent.causal_models import locate_model, quiet

__all__ = ["MAX_TOKENS", "TextEncoder", "TokenVectors", "fingerprint_of", "open_encoder"]

MAX_TOKENS = 128
"""Questions and attributes are shorter; what is longer is cut."""
TEXTS_AT_ONCE = 64
CONFIG_FILE = "config.json"
HASHED_FILES = (CONFIG_FILE, "tokenizer.json", "vocab.txt")


class TokenVectors(NamedTuple):
    """A text's tokens: `vectors` (n_tokens, dim), and the characters they stand for, `spans` (n_tokens, 2).

    Tokens that stand for no character, such as the one at the start, have an empty span.
    """

    vectors: NDArray[np.float16]
    spans: NDArray[np.int64]

    def mean_outside(self, start: int, end: int) -> NDArray[np.float32] | None:
        """The mean of the tokens (dim,) that have no character from `start` up to `end`; None if there is none."""
        starts, ends = self.spans[:, 0], self.spans[:, 1]
        inside = (starts < ends) & (starts < end) & (ends > start)
        return None if inside.all() else self.vectors[~inside].mean(axis=0, dtype=np.float32)


class TextEncoder:
    """A model and its tokenizer; `name` is a hub name or an absolute folder, `fingerprint` the sha256 of its files."""

    def __init__(self, name: str) -> None:
        """Open an encoder.

        Raises:
            MissingExtraError: the packages for models are not installed.
            ModelError: no such encoder, no network to fetch it, or no fast tokenizer, which tells where tokens are.
        """
        self.name, self._tokenizer, self._network = open_encoder(name)
        try:
            self.fingerprint = fingerprint_of(self.name)
            self.max_tokens = min(MAX_TOKENS, self._network.config.max_position_embeddings)
            self.dim = int(self.vectors([name]).shape[1])
        except (OSError, ValueError, AttributeError, KeyError, RuntimeError) as error:
            raise _unusable(name, error) from error

    def vectors(self, texts: Sequence[str], progress: str | None = None) -> NDArray[np.float32]:
        """The mean vector of each text, (n_texts, dim), not normalised; `progress` names a bar."""
        found = np.zeros((len(texts), self._network.config.hidden_size), np.float32)
        for at, hidden, _, mask in self._batches(texts, progress):
            shown = mask[:, :, None]  # (batch, time, 1)
            found[at] = (hidden * shown).sum(axis=1) / shown.sum(axis=1)
        return found

    def token_vectors(self, texts: Sequence[str], progress: str | None = None) -> list[TokenVectors]:
        """The vectors of each text's tokens, as 16-bit floats; `progress` names a bar."""
        found: dict[int, TokenVectors] = {}
        for at, hidden, spans, mask in self._batches(texts, progress):
            for row, number in enumerate(at):
                shown = mask[row] > 0
                found[number] = TokenVectors(hidden[row, shown].astype(np.float16), spans[row, shown])
        return [found[number] for number in range(len(texts))]

    def _batches(
        self, texts: Sequence[str], progress: str | None
    ) -> Iterator[tuple[list[int], NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]]:
        """Batches of texts of like length: their numbers, hidden states (batch, time, dim), spans, attention mask."""
        import torch

        order = sorted(range(len(texts)), key=lambda number: len(texts[number]))
        with tqdm(total=len(texts), desc=progress, unit="text", disable=None if progress else True) as bar:
            for start in range(0, len(order), TEXTS_AT_ONCE):
                at = order[start : start + TEXTS_AT_ONCE]
                batch = self._tokenizer(
                    [texts[number] for number in at],
                    padding=True,
                    truncation=True,
                    max_length=self.max_tokens,
                    return_offsets_mapping=True,
                    return_tensors="pt",
                )
                spans = batch.pop("offset_mapping").numpy()
                with torch.inference_mode():
                    hidden = self._network(**batch).last_hidden_state.numpy()
                yield at, hidden, spans, batch["attention_mask"].numpy()
                bar.update(len(at))


def open_encoder(name: str) -> tuple[str, Any, Any]:
    """Open any encoder in 32-bit floats: its hub name or absolute folder, its tokenizer, and its network.

    Raises:
        MissingExtraError: the packages for models are not installed.
        ModelError: no such encoder, or no network to fetch it.
    """
    try:
        import torch
        from safetensors import SafetensorError
        from transformers import AutoModel, AutoTokenizer
    except ImportError as error:
        raise MissingExtraError("models", error.name or "transformers") from error
    try:
        source = _source(name)
        with quiet():
            # What lies in the hub's cache is not looked for on the hub, which may be out of reach.
            local = {"local_files_only": _is_here(source)}
            tokenizer = AutoTokenizer.from_pretrained(source, **local)
            network = AutoModel.from_pretrained(source, dtype=torch.float32, **local).eval()
    except (
        ModelError,
        OSError,
        ValueError,
        AttributeError,
        KeyError,
        ImportError,
        RuntimeError,
        SafetensorError,
    ) as error:
        raise _unusable(name, error) from error
    return source, tokenizer, network


def _unusable(name: str, error: Exception) -> ModelError:
    reason = " ".join(str(error).split())[:200]
    return ModelError(
        f"encoder {name!r}: cannot be used ({reason}); expected the folder or hub name of a model such as BERT"
    )


def _source(name: str) -> str:
    """The absolute folder, or the name on the hub."""
    try:
        located = locate_model(name, progress=False)
    except ModelError as error:
        raise ModelError(str(error).partition("; ")[0]) from error  # what it advises is for generators
    return str(Path(located).resolve()) if Path(located).is_dir() else located


def _is_here(name: str) -> bool:
    from transformers.utils import cached_file

    try:
        return cached_file(name, CONFIG_FILE, local_files_only=True) is not None
    except OSError:
        return False


def fingerprint_of(name: str) -> str:
    """The sha256 over an encoder's configuration, tokenizer and weights, from its folder or the hub's cache.

    Raises: OSError when it is not there.
    """
    from transformers.utils import cached_file

    folder = Path(str(cached_file(name, CONFIG_FILE, local_files_only=True))).parent
    weights = sorted(folder.glob("*.safetensors")) or sorted(folder.glob("pytorch_model*.bin"))
    digest = hashlib.sha256()
    for path in (*(folder / file for file in HASHED_FILES), *weights):
        if path.is_file():
            with path.open("rb") as file:
                digest.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
