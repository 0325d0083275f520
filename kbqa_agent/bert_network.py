"""A BERT-like encoder with two heads: one points at the name in a question, one compares questions with attributes.

A name is pointed at as an answer is in a text: two logits for each token, for where it begins and where it ends. A
question and an attribute are compared by the cosine of their vectors, the mean over the tokens of each: the vector of
an attribute is made once for all questions, while a network that reads both together would have to read every pair.

Reference: Devlin et al. 2019, arXiv:1810.04805, section 4.2 (spans); Reimers and Gurevych 2019, arXiv:1908.10084
(vectors).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kb_index.errors import ModelError
from kbqa_agent.causal_models import quiet
from kbqa_agent.patterns import MASK
from kbqa_agent.text_encoder import MAX_TOKENS, open_encoder

__all__ = ["BertNetwork", "Span"]

Span = tuple[int, int]
"""Where a stretch of characters begins, and where it ends."""

SCALE = 20.0
"""What a cosine is multiplied with to become a logit."""
UNSEEN = -100.0
"""The logit of a name that lies behind the last token that the encoder has place for."""
TEXTS_AT_ONCE = 64
ENCODER, HEADS = "encoder", "heads.safetensors"


class BertNetwork(NamedTuple):
    """An encoder, its tokenizer, and the heads `span`, a token's hidden state to 2 logits, and `match`, to a vector."""

    encoder: Any
    tokenizer: Any
    heads: Any

    @classmethod
    def begin(cls, tokenizer: Any, encoder: Any) -> BertNetwork:
        """Put new heads on an encoder: `span` drawn from torch's seed, `match` leaves vectors as they are.

        Raises: ModelError where the tokenizer does not tell where its tokens stand.
        """
        import torch

        if not tokenizer.is_fast:
            raise ModelError(f"tokenizer {type(tokenizer).__name__}: does not tell where tokens stand; use a fast one")
        width = encoder.config.hidden_size
        heads = torch.nn.ModuleDict({"span": torch.nn.Linear(width, 2), "match": torch.nn.Linear(width, width)})
        torch.nn.init.eye_(heads["match"].weight)
        torch.nn.init.zeros_(heads["match"].bias)
        network = cls(encoder, tokenizer, heads.to(encoder.device))
        network._encode([MASK])  # sets padding and truncation, which several threads could not do at once
        return network

    @classmethod
    def load(cls, folder: Path) -> BertNetwork:
        """Open what `save` wrote. Raises: ModelError, MissingExtraError, OSError, RuntimeError, SafetensorError."""
        _, tokenizer, encoder = open_encoder(str(folder / ENCODER))
        from safetensors.torch import load_file

        network = cls.begin(tokenizer, encoder)
        network.heads.load_state_dict(load_file(folder / HEADS))
        network.heads.eval()
        return network

    def save(self, folder: Path) -> None:
        """Write encoder, tokenizer and heads into an existing folder."""
        from safetensors.torch import save_file

        with quiet():
            self.encoder.save_pretrained(folder / ENCODER)
        self.tokenizer.save_pretrained(folder / ENCODER)
        save_file({name: tensor.cpu() for name, tensor in self.heads.state_dict().items()}, folder / HEADS)

    def parameters(self) -> list[Any]:
        """Everything that is trained."""
        return [*self.encoder.parameters(), *self.heads.parameters()]

    def point(self, questions: Sequence[str], spans: Sequence[Sequence[Span]]) -> Any:
        """The logit of each span of each question, a tensor (n_questions, most spans); -inf where one has fewer."""
        import torch

        hidden, _, at = self._read(questions)
        ends = self.heads["span"](hidden).float()  # (batch, time, 2)
        size = max(map(len, spans))
        first, last = np.zeros((2, len(questions), size), np.int64)
        fixed = np.full((len(questions), size), -np.inf, np.float32)
        for row, of_question in enumerate(spans):
            for i, span in enumerate(of_question):
                tokens = _tokens_of(at[row], span)
                fixed[row, i] = 0.0 if len(tokens) else UNSEEN
                if len(tokens):
                    first[row, i], last[row, i] = tokens[0], tokens[-1]
        rows = torch.arange(len(questions))[:, None]
        known = torch.from_numpy(fixed).to(ends.device)
        logits = ends[rows, torch.from_numpy(first), 0] + ends[rows, torch.from_numpy(last), 1]
        return torch.where(known == 0.0, logits, known)

    def vectors(self, texts: Sequence[str]) -> Any:
        """The vectors of questions with a masked name, or of attributes: a tensor (n_texts, dim), each of length 1."""
        import torch

        parts = _of_like_length(texts)
        means = torch.cat([self._means([texts[i] for i in part]) for part in parts])
        places = torch.from_numpy(np.argsort(np.concatenate(parts), kind="stable")).to(means.device)
        return torch.nn.functional.normalize(self.heads["match"](means[places]).float(), dim=-1)

    def _means(self, texts: Sequence[str]) -> Any:
        """The mean of each text's hidden states, (n_texts, dim)."""
        mask = self.tokenizer.mask_token or MASK
        hidden, inputs, _ = self._read([text.replace(MASK, mask) for text in texts])
        shown = inputs["attention_mask"][:, :, None]  # (batch, time, 1)
        return (hidden.float() * shown).sum(dim=1) / shown.sum(dim=1)

    def _read(self, texts: Sequence[str]) -> tuple[Any, Any, NDArray[np.int64]]:
        """Hidden states (batch, time, dim), the encoder's inputs, and where each token stands (batch, time, 2)."""
        inputs = self._encode(texts)
        at = inputs.pop("offset_mapping").numpy()
        inputs = inputs.to(self.encoder.device)
        return self.encoder(**inputs).last_hidden_state, inputs, at

    def _encode(self, texts: Sequence[str]) -> Any:
        return self.tokenizer(
            list(texts),
            padding=True,
            truncation=True,
            max_length=min(MAX_TOKENS, self.encoder.config.max_position_embeddings),
            return_offsets_mapping=True,
            return_tensors="pt",
        )


def _of_like_length(texts: Sequence[str]) -> list[list[int]]:
    """The numbers of the texts in parts, so that a long text pads no short ones.

    >>> _of_like_length(["a" * 9, "b", "c" * 5, "d" * 10])
    [[1], [2, 0, 3]]
    """
    parts: list[list[int]] = []
    for i in sorted(range(len(texts)), key=lambda i: len(texts[i])):
        if not parts or len(parts[-1]) == TEXTS_AT_ONCE or len(texts[i]) > 2 * len(texts[parts[-1][0]]):
            parts.append([])
        parts[-1].append(i)
    return parts


def _tokens_of(at: NDArray[np.int64], span: Span) -> NDArray[np.int64]:
    """The numbers of the tokens that have a character of the span."""
    starts, ends = at[:, 0], at[:, 1]
    found: NDArray[np.int64] = np.flatnonzero((starts < ends) & (starts < span[1]) & (ends > span[0]))
    return found
