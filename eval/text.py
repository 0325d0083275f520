"""Text metrics of one answer against its gold answers, from 0 to 1: exact match, BLEU and ROUGE for Chinese.

Several gold answers are alternatives: one of them suffices. BLEU of all answers together is in `eval.corpus`; what it
needs of one answer, its n-grams' counts, is here.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cache, lru_cache
from typing import Any, NamedTuple

from kb_index.errors import MissingExtraError

__all__ = ["BleuCounts", "Rouge", "bleu", "bleu_counts", "exact_match", "rouge", "tokenize"]

MAX_ORDER = 4
"""BLEU counts n-grams of 1 to so many characters."""

_TOKEN = re.compile(r"[a-z0-9\u00df-\u00f6\u00f8-\u024f]+|[^\W_]")


class BleuCounts(NamedTuple):
    """What BLEU needs to know of an answer: n-grams also in a gold answer and in all, for n = 1 to 4, and two lengths.

    `gold_length` is that of the gold answer whose length is nearest. Lengths are in characters, blanks left out.
    """

    matched: tuple[int, ...]
    total: tuple[int, ...]
    length: int
    gold_length: int


class Rouge(NamedTuple):
    """F-measures of unigrams, of bigrams and of the longest common subsequence."""

    rouge_1: float
    rouge_2: float
    rouge_l: float


def exact_match(answer: str, gold: Collection[str]) -> float:
    """Return 1.0 where the answer equals a gold answer character for character, else 0.0.

    >>> exact_match("李白", {"李白"}), exact_match("李白 ", {"李白"})
    (1.0, 0.0)
    """
    return float(answer in gold)


def bleu(answer: str, gold: Collection[str]) -> float:
    """Return the sentence BLEU over characters: brevity penalty x geometric mean of the clipped n-gram precisions.

    n runs from 1 to 4 or to the answer's length if that is shorter ("effective order"), so a right answer of one
    character scores 1. The k-th precision that is zero becomes 1 / (2^k x n-grams) (exponential smoothing, method 3).

    >>> bleu("男", {"男"}), round(bleu("武汉大学", {"武汉理工大学"}), 3)
    (1.0, 0.274)

    Reference: Papineni et al. 2002, BLEU; Chen and Cherry 2014, smoothing 3; Post 2018, arXiv:1804.08771 (sacrebleu).
    Raises: MissingExtraError without sacrebleu.
    """
    if not answer.strip() or not gold:
        return 0.0
    if answer in gold:
        return 1.0
    # The metric's exponential of a mean of logarithms can end a rounding error above 1.
    return min(1.0, float(_bleu_score(answer, frozenset(gold)).score) / 100.0)


def bleu_counts(answer: str, gold: Collection[str]) -> BleuCounts:
    """Count the n-grams of characters of an answer, as sacrebleu does.

    >>> bleu_counts("武汉大学", {"武汉理工大学"})
    BleuCounts(matched=(4, 2, 0, 0), total=(4, 3, 2, 1), length=4, gold_length=6)

    Raises: ValueError without a gold answer, MissingExtraError without sacrebleu.
    """
    if not gold:
        raise ValueError("no gold answer; BLEU has nothing to compare with")
    if answer in gold:
        length = len("".join(answer.split()))
        total = tuple(max(length - n, 0) for n in range(MAX_ORDER))
        return BleuCounts(total, total, length, length)
    found = _bleu_score(answer, frozenset(gold))
    return BleuCounts(tuple(found.counts), tuple(found.totals), int(found.sys_len), int(found.ref_len))


def rouge(answer: str, gold: Collection[str]) -> Rouge:
    """Return ROUGE-1, ROUGE-2 and ROUGE-L F-measures, each against the gold answer that suits it best.

    F = 2PR / (P + R), with precision and recall of shared n-grams (1, 2) or of the longest common subsequence (L) of
    `tokenize`'s tokens. An answer of one token has no bigram, so its ROUGE-2 is 0 even where it is right.

    >>> rouge("武汉大学", {"武汉理工大学"})
    Rouge(rouge_1=0.8, rouge_2=0.5, rouge_l=0.8)
    >>> rouge("男", {"男"})
    Rouge(rouge_1=1.0, rouge_2=0.0, rouge_l=1.0)

    Reference: Lin 2004, ROUGE: A Package for Automatic Evaluation of Summaries, sections 2 and 3.
    Raises: MissingExtraError without rouge-score.
    """
    if not gold:
        return Rouge(0.0, 0.0, 0.0)
    if answer in gold:
        # rouge-score is slow, and an equal text has every n-gram, if it has one, and its whole length in common.
        n_tokens = len(tokenize(answer))
        return Rouge(float(n_tokens > 0), float(n_tokens > 1), float(n_tokens > 0))
    scores = _rouge_scorer().score_multi(list(gold), answer)
    return Rouge(*(round(float(scores[name].fmeasure), 12) for name in ("rouge1", "rouge2", "rougeL")))


def tokenize(text: str) -> list[str]:
    """Split into Chinese characters and whole Latin words and numbers, in lower case, without punctuation.

    A text of nothing but marks is split into its characters.

    >>> tokenize("Visual C++ 6.0，清华大学")
    ['visual', 'c', '6', '0', '清', '华', '大', '学']
    """
    return _TOKEN.findall(text.lower()) or list("".join(text.split()))


class _Tokenizer:
    """The shape in which rouge-score takes a tokenizer."""

    def tokenize(self, text: str) -> list[str]:
        return tokenize(text)


@lru_cache(maxsize=1024)
def _bleu_score(answer: str, gold: frozenset[str]) -> Any:
    """Ask sacrebleu once for the score and the counts of an answer."""
    return _bleu_scorer().sentence_score(answer, sorted(gold))


@cache
def _bleu_scorer() -> Any:
    try:
        from sacrebleu.metrics import BLEU
    except ImportError as error:
        raise MissingExtraError("eval", "sacrebleu") from error
    return BLEU(tokenize="char", smooth_method="exp", effective_order=True)


@cache
def _rouge_scorer() -> Any:
    try:
        from rouge_score.rouge_scorer import RougeScorer
    except ImportError as error:
        raise MissingExtraError("eval", "rouge-score") from error
    return RougeScorer(["rouge1", "rouge2", "rougeL"], tokenizer=_Tokenizer())
