"""Preferences grouped by prompt, and those as token ids: the rows that a reward model learns from.

All answers to one prompt are read together with it, once, as in Ouyang et al. 2022 (arXiv:2203.02155, section 3.5); a
held-out share is drawn by whole prompts. This module neither trains nor reads files.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, NamedTuple

from finetune.data import IGNORED, TokenRow, collate
from finetune.fitting import fit_prompt
from finetune.preferences import Preference
from kbqa_agent.tokenizing import encode_answer

__all__ = [
    "Comparison",
    "EncodedComparisons",
    "TokenComparison",
    "collate_comparisons",
    "encode_comparisons",
    "grouped",
    "hold_out",
    "shuffled",
]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A prompt, its answers, and pairs of positions among these: the better and the worse one."""

    prompt: str
    answers: tuple[str, ...]
    pairs: tuple[tuple[int, int], ...]


class TokenComparison(NamedTuple):
    """The token ids of a comparison; `prompt_number` says which rows were drawn together."""

    prompt: list[int]
    answers: list[list[int]]
    pairs: list[tuple[int, int]]
    prompt_number: int

    @property
    def length(self) -> int:
        """Tokens of the prompt and all its answers."""
        return len(self.prompt) + sum(map(len, self.answers))


class EncodedComparisons(NamedTuple):
    """Rows ready for training, the pairs that lost triples to fit, and those that did not fit at all."""

    rows: list[TokenComparison]
    n_cut: int
    n_dropped: int


def grouped(preferences: Iterable[Preference]) -> list[Comparison]:
    """Put the preferences of one prompt together, in the order in which prompts and answers are first seen.

    >>> grouped([Preference("问", "甲", "乙"), Preference("问", "甲", "丙")])
    [Comparison(prompt='问', answers=('甲', '乙', '丙'), pairs=((0, 1), (0, 2)))]
    """
    found: dict[str, tuple[dict[str, int], list[tuple[int, int]]]] = {}
    for pair in preferences:
        places, pairs = found.setdefault(pair.prompt, ({}, []))
        better, worse = (places.setdefault(answer, len(places)) for answer in (pair.chosen, pair.rejected))
        pairs.append((better, worse))
    return [Comparison(prompt, tuple(places), tuple(pairs)) for prompt, (places, pairs) in found.items()]


def hold_out(
    comparisons: Sequence[Comparison], share: float, most: int, seed: int
) -> tuple[list[Comparison], list[Comparison]]:
    """Draw `share` of the prompts (at least one, at most `most`) to measure by; both parts keep the order."""
    n_held_out = min(most, max(1, round(share * len(comparisons))), len(comparisons) - 1)
    drawn = set(random.Random(seed).sample(range(len(comparisons)), max(0, n_held_out)))
    training = [one for i, one in enumerate(comparisons) if i not in drawn]
    return training, [comparisons[i] for i in sorted(drawn)]


def shuffled(comparisons: Sequence[Comparison], seed: int) -> list[Comparison]:
    """The same comparisons, where half of all pairs, drawn at random, have the worse answer as the better one.

    Exactly half: with a coin for each pair, a small set would on balance still teach the right order, or its reverse.
    """
    n_pairs = sum(len(one.pairs) for one in comparisons)
    turned = set(random.Random(seed).sample(range(n_pairs), n_pairs // 2))
    places = count()
    return [
        replace(one, pairs=tuple(pair[::-1] if next(places) in turned else pair for pair in one.pairs))
        for one in comparisons
    ]


def encode_comparisons(tokenizer: Any, comparisons: Iterable[Comparison], max_tokens: int) -> EncodedComparisons:
    """Encode comparisons so that the prompt with any one answer fits into `max_tokens`.

    A prompt that is too long is cut as `fit_prompt` does, which keeps the triples of its better answers. A pair is
    dropped where an answer does not fit with what has to stay; nothing else is ever cut. A list longer than twice
    `max_tokens` becomes one row for each of its pairs.
    """
    rows, n_cut, n_dropped = [], 0, 0
    for number, one in enumerate(comparisons):
        answers = [encode_answer(tokenizer, answer) for answer in one.answers]
        better = {one.answers[i] for i, _ in one.pairs}
        rooms = [max_tokens - max(len(answers[i]) for i in pair) for pair in one.pairs]
        fitted = {room: fit_prompt(tokenizer, one.prompt, room, better) for room in set(rooms)}
        pairs = [pair for pair, room in zip(one.pairs, rooms, strict=True) if fitted[room]]
        n_dropped += len(one.pairs) - len(pairs)
        prompt = min(filter(None, fitted.values()), key=lambda found: len(found.ids), default=None)
        if prompt is None:
            continue
        n_cut += len(pairs) * (prompt.text != one.prompt)
        row = _with_answers(prompt.ids, answers, pairs, number)
        fits = row.length <= 2 * max_tokens
        rows += [row] if fits else [_with_answers(prompt.ids, answers, [pair], number) for pair in pairs]
    return EncodedComparisons(rows, n_cut, n_dropped)


def collate_comparisons(rows: Sequence[TokenComparison], shared: bool) -> dict[str, Any]:
    """Pad rows into tensors, each answer as if it stood alone behind its prompt.

    With `shared`, a prompt stands once before all its answers, which do not see each other; without, once for each.
    Beside the model's inputs there are `ends` (n_answers, 2), the row and column of each answer's end token; `better`
    and `worse` (n_pairs,), positions among the answers; and `weights` (n_pairs,), which sum to 1 and count every
    prompt alike.
    """
    import torch

    token_rows: list[TokenRow] = []
    ends: list[tuple[int, int]] = []
    better, worse, weights = [], [], []
    for row in rows:
        first = len(ends)
        for packed in [row.answers] if shared else [[answer] for answer in row.answers]:
            ids, blocks = list(row.prompt), [0] * len(row.prompt)
            for block, answer in enumerate(packed, 1):
                ids, blocks = ids + answer, blocks + [block] * len(answer)
                ends.append((len(token_rows), len(ids) - 1))
            token_rows.append(TokenRow(ids, [IGNORED] * len(ids), blocks if len(packed) > 1 else []))
        better += [first + i for i, _ in row.pairs]
        worse += [first + i for _, i in row.pairs]
        weights += [1 / (len(row.pairs) * len(rows)) for _ in row.pairs]
    batch = collate(token_rows)
    del batch["labels"]
    return batch | {
        "ends": torch.tensor(ends, dtype=torch.long),
        "better": torch.tensor(better, dtype=torch.long),
        "worse": torch.tensor(worse, dtype=torch.long),
        "weights": torch.tensor(weights),
    }


def _with_answers(
    prompt: list[int], answers: Sequence[list[int]], pairs: Sequence[tuple[int, int]], number: int
) -> TokenComparison:
    """The row of these pairs, with the answers they speak of alone."""
    places = {old: new for new, old in enumerate(sorted({i for pair in pairs for i in pair}))}
    return TokenComparison(prompt, [answers[i] for i in places], [(places[b], places[w]) for b, w in pairs], number)
