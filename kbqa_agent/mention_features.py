"""Features of a mention: how much of the question it takes, whether it stands apart, and how its surroundings read.

A chance name such as 的熔点 in 硒的熔点是多少 is told by what is left around it: questions rarely have 硒 before a name
and 是 right after it, while they often have nothing before and 的 after.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import log1p

from kb_index.normalize import QUOTES, normalize_name
from kbqa_agent.patterns import MASK, TranslationModel
from kbqa_agent.types import EntityMention

__all__ = ["MENTION", "mask_mention", "mention_features"]

MENTION = (
    "chars", "share", "quoted", "inside_longer", "n_entities", "at_start", "at_end", "cuts_word", "name_surprise",
    "name_rarity", "commonest_run", "rarity_before", "rarity_after", "rarity_around", "seam_before", "seam_after",
)  # fmt: skip
PUNCTUATION = re.compile(r"[_?？!！。，,、;；:：\"“”'‘’《》「」『』【】]+")


def mask_mention(question: str, mention: EntityMention) -> str:
    """The normalised question with the mention (and marks around it) as one mask, without punctuation.

    >>> mask_mention("《坛经》是谁写的？", EntityMention("坛经", 1, 3, ()))
    '_是谁写的'
    """
    before, after = question[: mention.start], question[mention.end :]
    return PUNCTUATION.sub("", normalize_name(before)) + MASK + PUNCTUATION.sub("", normalize_name(after))


def mention_features(
    question: str, mention: EntityMention, mentions: Sequence[EntityMention], masked: str, model: TranslationModel
) -> list[float]:
    """The features of `MENTION`; `masked` is the question without the mention."""
    name = normalize_name(mention.text)
    surprise = sum(model.rarity(c) for c in set(name))
    runs = [model.rarity(name[i : i + 3]) for i in range(max(1, len(name) - 2))]
    return [
        *_place(question, mention, mentions),
        surprise,
        sum(runs) / len(runs),
        min(runs),
        *_surroundings(masked, name, model),
    ]


def _place(question: str, mention: EntityMention, mentions: Sequence[EntityMention]) -> list[float]:
    before = question[mention.start - 1 : mention.start]
    after = question[mention.end : mention.end + 1]
    longest = max((m.end - m.start for m in mentions if m.start <= mention.start and mention.end <= m.end), default=0)
    size = mention.end - mention.start
    cuts = (_wordlike(before) and _wordlike(mention.text[:1])) or (_wordlike(after) and _wordlike(mention.text[-1:]))
    return [
        size,
        size / len(question),
        QUOTES.get(before) == after,
        longest - size,
        log1p(len(mention.entities)),
        mention.start == 0,
        not PUNCTUATION.sub("", question[mention.end :]),
        cuts,
    ]


def _surroundings(masked: str, name: str, model: TranslationModel) -> list[float]:
    """How rare the mask's neighbours are beside a name, and how rare the name's ends are beside those neighbours."""
    marked = f"^{masked}$"
    at = marked.index(MASK)
    around = (marked[at - 1 : at + 2], marked[at : at + 3], marked[max(0, at - 2) : at + 1])
    return [
        model.rarity(marked[at - 1 : at + 1]),
        model.rarity(marked[at : at + 2]),
        sum(map(model.rarity, around)),
        model.rarity(marked[at - 1] + name[:1]),
        model.rarity(name[-1:] + marked[at + 1]),
    ]


def _wordlike(char: str) -> bool:
    return char.isascii() and char.isalnum()
