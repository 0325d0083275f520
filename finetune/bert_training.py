"""The training of BERT's network: batches of rows, both losses, an epoch after another, the best one kept."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from finetune.bert_config import BertTraining
from finetune.bert_rows import BertRow
from finetune.failures import memory_errors
from finetune.record import StageMetrics
from kb_index.errors import TrainingError
from kbqa_agent.bert_network import SCALE, BertNetwork
from kbqa_agent.causal_models import fast_dtype

__all__ = ["HeldOut", "judge_rows", "train_network"]

ROWS_TO_JUDGE = 64
SORTED_TOGETHER = 16
"""Batches whose rows are sorted by length, which pads less."""


class HeldOut(NamedTuple):
    """The logits of a row's mentions and of its attributes, each (n,), and which of the mentions is gold.

    The first attribute is the gold one; the others are those of the same mention's entities.
    """

    mentions: NDArray[np.float32]
    gold: int
    attributes: NDArray[np.float32]


def train_network(
    network: BertNetwork,
    rows: Sequence[BertRow],
    held_out: Sequence[BertRow],
    config: BertTraining,
    stages: StageMetrics,
) -> None:
    """Train all weights, and leave those of the epoch whose mentions and attributes were right most often.

    The loss of a row is -log P(gold mention among the linked ones) - log P(gold attribute among those of the batch),
    which are the gold ones of all its rows and some `near` and `far` ones of each.

    Raises: TrainingError where the loss is no number, or the memory is full.
    """
    import torch

    n_steps = math.ceil(len(rows) / config.rows_per_step) * config.epochs
    optimizer = torch.optim.AdamW(network.parameters(), lr=config.rate, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _share_of_rate(step, n_steps, config))
    best, kept = -1.0, _weights(network)
    with (
        tqdm(total=n_steps, desc="train", unit="step", disable=None) as bar,
        memory_errors(f"lower --rows-per-step to {max(1, config.rows_per_step // 2)} (now {config.rows_per_step})"),
    ):
        for epoch in range(config.epochs):
            losses = []
            for batch in _batches(rows, epoch, config):
                _training(network, True)
                loss = _loss(network, batch)
                if not math.isfinite(loss.item()):
                    raise TrainingError(f"step {bar.n + 1}: the loss is not a number; lower --learning-rate")
                optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(network.parameters(), config.max_grad_norm)
                optimizer.step()
                schedule.step()
                losses.append(loss.item())
                bar.update()
            figures = _figures(judge_rows(network, held_out))
            stages.add(f"epoch {epoch + 1}", loss=float(np.mean(losses)), **figures)
            bar.set_postfix({name: f"{value:.3f}" for name, value in figures.items()})
            if figures["both_right"] > best:
                best, kept = figures["both_right"], _weights(network)
    network.encoder.load_state_dict(kept[0])
    network.heads.load_state_dict(kept[1])


def judge_rows(network: BertNetwork, rows: Sequence[BertRow]) -> list[HeldOut]:
    """What a network says of rows."""
    import torch

    _training(network, False)
    found = []
    with torch.inference_mode():
        for start in range(0, len(rows), ROWS_TO_JUDGE):
            batch = rows[start : start + ROWS_TO_JUDGE]
            pointed = network.point([r.question for r in batch], [r.spans for r in batch]).cpu().numpy()
            attributes = list(dict.fromkeys(a for r in batch for a in (r.attribute, *r.near)))
            number = {a: i for i, a in enumerate(attributes)}
            asked, known = network.vectors([r.masked for r in batch]), network.vectors(attributes)
            logits = (SCALE * asked @ known.T).cpu().numpy()
            for row, mentions, fits in zip(batch, pointed, logits, strict=True):
                of_row = fits[[number[a] for a in (row.attribute, *row.near)]]
                found.append(HeldOut(mentions[: len(row.spans)], row.gold, of_row))
    return found


class _Batch(NamedTuple):
    rows: list[BertRow]
    attributes: list[str]


def _batches(rows: Sequence[BertRow], epoch: int, config: BertTraining) -> Iterator[_Batch]:
    """All rows in a new order, those of a batch of like length, with other wrong attributes in each epoch."""
    rng = np.random.default_rng((config.seed, epoch))
    order, size = rng.permutation(len(rows)).tolist(), config.rows_per_step
    batches = []
    for start in range(0, len(order), SORTED_TOGETHER * size):
        part = sorted(order[start : start + SORTED_TOGETHER * size], key=lambda i: len(rows[i].question))
        batches += [part[at : at + size] for at in range(0, len(part), size)]
    for number in rng.permutation(len(batches)).tolist():
        batch = [rows[i] for i in batches[number]]
        wrong = [a for row in batch for of in (row.near, row.far) for a in _drawn(of, config.negatives, rng)]
        yield _Batch(batch, list(dict.fromkeys([*(row.attribute for row in batch), *wrong])))


def _drawn(attributes: Sequence[str], n: int, rng: np.random.Generator) -> list[str]:
    return [attributes[i] for i in rng.permutation(len(attributes))[:n]]


def _loss(network: BertNetwork, batch: _Batch) -> Any:
    import torch

    rows, device = batch.rows, network.encoder.device
    dtype = fast_dtype()
    with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
        pointed = network.point([r.question for r in rows], [r.spans for r in rows])
        asked, known = network.vectors([r.masked for r in rows]), network.vectors(batch.attributes)
    number = {a: i for i, a in enumerate(batch.attributes)}
    mentions = torch.tensor([r.gold for r in rows], device=device)
    attributes = torch.tensor([number[r.attribute] for r in rows], device=device)
    entropy = torch.nn.functional.cross_entropy
    return entropy(pointed, mentions) + entropy(SCALE * asked @ known.T, attributes)


def _figures(judged: Sequence[HeldOut]) -> dict[str, float]:
    mention = np.array([h.mentions.argmax() == h.gold for h in judged])
    attribute = np.array([h.attributes.argmax() == 0 for h in judged])
    right = {"mention_right": mention, "attribute_right": attribute, "both_right": mention & attribute}
    return {name: float(np.mean(value)) for name, value in right.items()}


def _share_of_rate(step: int, n_steps: int, config: BertTraining) -> float:
    """A rise over the first steps, then a cosine down to 0."""
    warmup = max(1, round(config.warmup_share * n_steps))
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, n_steps - warmup)))


def _training(network: BertNetwork, on: bool) -> None:
    network.encoder.train(on)
    network.heads.train(on)


def _weights(network: BertNetwork) -> list[dict[str, Any]]:
    parts = (network.encoder, network.heads)
    return [{name: tensor.detach().clone() for name, tensor in part.state_dict().items()} for part in parts]
