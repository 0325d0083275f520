"""Questions to training rows, and training rows to token ids whose loss counts the answers only.

Rows are text2text pairs; the prompts are those that `ask` writes. This module reads no index: the triples of a question
come from a function that is handed in.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, NamedTuple

from finetune.fitting import fit_prompt, stated_values
from kb_index.errors import InputError
from kb_index.types import Triple
from kbqa_agent.prompts import UNKNOWN, answer_prompt, answer_text, closed_book_prompt
from kbqa_agent.qa_data import comparable
from kbqa_agent.text2text import Text2TextRow
from kbqa_agent.tokenizing import QUESTION_LINES, encode_answer, encode_text
from kbqa_agent.types import QAExample

__all__ = [
    "IGNORED",
    "EncodedRows",
    "RowOptions",
    "TokenRow",
    "collate",
    "encode_rows",
    "length_grouped",
    "n_for_validation",
    "n_steps",
    "rows_from_questions",
    "split_validation",
]

IGNORED = -100
"""The label of a token that the loss does not count, as torch's cross entropy knows it."""

PADDING_BLOCK = -1
MEGA_BATCHES = 50


@dataclass(frozen=True, slots=True)
class RowOptions:
    """How questions become prompts; the number of triples is drawn anew for each row."""

    min_triples: int = 3
    max_triples: int = 10
    unanswerable_share: float = 0.1
    """The share of rows that lack the answer's triple and are to be answered with `UNKNOWN`."""
    closed_book: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.min_triples <= self.max_triples:
            raise InputError(f"triples from {self.min_triples} to {self.max_triples}: expected 1 <= fewest <= most")
        if not 0.0 <= self.unanswerable_share < 1.0:
            raise InputError(f"unanswerable_share={self.unanswerable_share}: expected a share from 0 to under 1")


class TokenRow(NamedTuple):
    """Token ids, and as many labels: the token itself inside an answer, `IGNORED` elsewhere.

    `blocks` has a number for each token of a row that asks several questions about the same triples: 0 for the triples,
    which all questions see, and the question's own number for what no other question sees. It is empty where there is
    only one question.
    """

    input_ids: list[int]
    labels: list[int]
    blocks: list[int] = []  # noqa: RUF012 - a NamedTuple's default, never changed


class EncodedRows(NamedTuple):
    """Rows ready for training, and how many lost triples to fit or did not fit at all."""

    rows: list[TokenRow]
    n_cut: int
    n_dropped: int


def rows_from_questions(
    examples: Iterable[QAExample],
    candidates_of: Callable[[str], Sequence[Triple]],
    options: RowOptions = RowOptions(),
) -> list[Text2TextRow]:
    """Write one training row for each question, with the prompt that `ask` would give.

    `candidates_of` gives the triples of a question, ranked best first. The gold triple stands at a random place among
    the best of the others; where it is in neither the candidates nor the example, the output is `UNKNOWN`.
    """
    rng = random.Random(options.seed)
    rows = []
    for example in examples:
        if options.closed_book:
            if example.answers:
                rows.append(Text2TextRow(closed_book_prompt(example.question), answer_text(example.answers[0])))
            continue
        triples, answer = _injected(example, candidates_of(example.question), options, rng)
        if triples:
            rows.append(Text2TextRow(answer_prompt(example.question, triples), answer_text(answer)))
    return rows


def encode_rows(tokenizer: Any, conversations: Iterable[Sequence[tuple[str, str]]], max_tokens: int) -> EncodedRows:
    """Encode rows of one (prompt, answer) pair, or of more that ask about the triples of the first prompt.

    The first prompt is cut to fit as `fit_prompt` does; a row is dropped where its question and the triple of its
    answer do not fit. Later pairs that do not fit, or whose triple was cut, are left out.
    """
    rows, n_cut, n_dropped = [], 0, 0
    for (prompt, answer), *more in conversations:
        target = encode_answer(tokenizer, answer)
        fitted = fit_prompt(tokenizer, prompt, max_tokens - len(target), (answer,))
        if fitted is None:
            n_dropped += 1
            continue
        n_cut += fitted.text != prompt
        lost = stated_values(prompt.split("\n")) - stated_values(fitted.text.split("\n"))
        later = [pair for pair in more if comparable(pair[1]) not in lost]
        row = TokenRow(fitted.ids + target, [IGNORED] * len(fitted.ids) + target)
        rows.append(_with_questions(tokenizer, row, prompt, later, max_tokens) if later else row)
    return EncodedRows(rows, n_cut, n_dropped)


def _with_questions(
    tokenizer: Any, first: TokenRow, prompt: str, more: Sequence[tuple[str, str]], max_tokens: int
) -> TokenRow:
    """Append further questions, each as if it stood directly behind the triples."""
    own = encode_text(tokenizer, "\n" + "\n".join(prompt.split("\n")[-QUESTION_LINES:]))
    n_labelled = sum(label != IGNORED for label in first.labels)
    n_shared = max(0, len(first.input_ids) - n_labelled - len(own))
    ids, labels = list(first.input_ids), list(first.labels)
    blocks = [0] * n_shared + [1] * (len(ids) - n_shared)
    for number, (question, answer) in enumerate(more, start=2):
        source = encode_text(tokenizer, "\n" + question)
        target = encode_answer(tokenizer, answer)
        if len(ids) + len(source) + len(target) > max_tokens:
            break
        ids, labels = ids + source + target, labels + [IGNORED] * len(source) + target
        blocks += [number] * (len(source) + len(target))
    return TokenRow(ids, labels, blocks)


def split_validation(
    rows: Sequence[TokenRow], share: float, most: int, seed: int
) -> tuple[list[TokenRow], list[TokenRow]]:
    """Draw the rows for validation, as many as `n_for_validation` says; both parts keep the rows' order."""
    drawn = set(random.Random(seed).sample(range(len(rows)), n_for_validation(len(rows), share, most)))
    return [row for i, row in enumerate(rows) if i not in drawn], [rows[i] for i in sorted(drawn)]


def n_for_validation(n_rows: int, share: float, most: int) -> int:
    """Count the rows that are not trained on: a share of all, at least one unless it is 0, and at most `most`.

    >>> n_for_validation(100, 0.2, most=15), n_for_validation(2, 0.9, most=15), n_for_validation(9, 0.0, most=15)
    (15, 1, 0)
    """
    return max(0, min(most, max(1, round(share * n_rows)), n_rows - 1)) if share else 0


def n_steps(max_steps: int | None, epochs: float, n_rows: int, rows_per_step: int) -> int:
    """Count the optimizer steps of a training: as many as are asked for, or those of its epochs.

    >>> n_steps(None, 1.5, n_rows=10, rows_per_step=4), n_steps(7, 1.5, n_rows=10, rows_per_step=4)
    (4, 7)
    """
    return max_steps or ceil(epochs * n_rows / rows_per_step)


def length_grouped(lengths: Sequence[int], batch: int, n_rows: int, seed: int) -> list[int]:
    """Order row numbers so that each batch holds rows of like length, until `n_rows` are given; each epoch anew.

    >>> length_grouped([1, 9, 2, 8], batch=2, n_rows=4, seed=0) in ([0, 2, 3, 1], [3, 1, 0, 2])
    True
    """
    rng = random.Random(seed)
    order: list[int] = []
    while len(order) < n_rows:
        shuffled = rng.sample(range(len(lengths)), len(lengths))
        for start in range(0, len(shuffled), batch * MEGA_BATCHES):
            group = sorted(shuffled[start : start + batch * MEGA_BATCHES], key=lambda i: lengths[i])
            batches = [group[i : i + batch] for i in range(0, len(group), batch)]
            rng.shuffle(batches)
            order += [i for one in batches for i in one]
    return order[:n_rows]


def collate(rows: Sequence[TokenRow]) -> dict[str, Any]:
    """Pad rows at their right into int64 tensors of shape (n_rows, longest); padding is masked and not counted.

    `attention_mask` has that shape too, or is boolean of shape (n_rows, 1, longest, longest) where a row asks several
    questions; then there are also `position_ids`, which go on from the triples for each question.
    """
    import torch

    longest = max(len(row.input_ids) for row in rows)

    def padded(values: Sequence[Sequence[int]], fill: int) -> Any:
        return torch.tensor([[*value, *[fill] * (longest - len(value))] for value in values])

    batch = {
        "input_ids": padded([row.input_ids for row in rows], 0),
        "attention_mask": padded([[1] * len(row.input_ids) for row in rows], 0),
        "labels": padded([row.labels for row in rows], IGNORED),
    }
    if any(row.blocks for row in rows):
        blocks = padded([row.blocks or [0] * len(row.input_ids) for row in rows], PADDING_BLOCK)
        same = blocks[:, None, :, None] == blocks[:, None, None, :]
        shared = (blocks == 0)[:, None, None, :]
        causal = torch.ones((longest, longest), dtype=torch.bool).tril()
        batch["attention_mask"] = causal & (same | shared)
        # Padding stands at the beginning: counted on, it would pass the end of a table of learnt positions.
        batch["position_ids"] = (batch["attention_mask"].sum(-1)[:, 0] - 1).masked_fill(blocks == PADDING_BLOCK, 0)
    return batch


def _injected(
    example: QAExample, candidates: Sequence[Triple], options: RowOptions, rng: random.Random
) -> tuple[list[Triple], str]:
    n_triples = rng.randint(options.min_triples, options.max_triples)
    right = set(map(comparable, example.answers))
    asked = comparable(example.triple[1]) if example.triple else None
    golds = [t for t in candidates if comparable(t.object) in right and asked in (None, comparable(t.predicate))]
    if not golds and example.triple is not None and example.answers:
        golds = [Triple(-1, *example.triple, -1)]
    others = [t for t in candidates if comparable(t.object) not in right]
    if not golds or (rng.random() < options.unanswerable_share and others):
        return others[:n_triples], UNKNOWN
    triples = others[: n_triples - 1]
    triples.insert(rng.randint(0, len(triples)), golds[0])
    return triples, golds[0].object
