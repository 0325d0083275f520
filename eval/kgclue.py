"""KgCLUE's two scores of an answer, exact match and F1, as its own script computes them for objects (`EM_O`, `F1_O`).

Its leaderboard shows (EM + F1) / 2. The script reads one gold answer a question; of several, the best one counts here,
as the benchmark's text says for exact match. By that text a question without an answer scores 0 where anything is
predicted; no such question is in its files.

Reference: github.com/CLUEbenchmark/KgCLUE, baselines/evaluate_f1_em.py and README, section 1.1 of the results (commit
c129972).
"""

from __future__ import annotations

from collections.abc import Collection

from rapidfuzz.distance import LCSseq

__all__ = ["kgclue_em", "kgclue_f1", "kgclue_form"]


def kgclue_form(text: str) -> str:
    """Lower the case and make every run of white space one blank.

    >>> kgclue_form(" War  and Peace")
    'war and peace'
    """
    return " ".join(text.lower().split())


def kgclue_em(answer: str, gold: Collection[str]) -> float:
    """Return 1.0 where the answer equals a gold answer but for case and white space, else 0.0.

    >>> kgclue_em("war  and peace", {"War and Peace"}), kgclue_em("战争", {"战争与和平"})
    (1.0, 0.0)
    """
    return float(kgclue_form(answer) in set(map(kgclue_form, gold)))


def kgclue_f1(answer: str, gold: Collection[str]) -> float:
    """Return 2 L / (|answer| + |gold|), L the longest common subsequence and all in characters; the best gold counts.

    It looks at order, which F1 over a set or bag of characters does not. Two empty texts score 0.

    >>> kgclue_f1("武汉大学", {"武汉理工大学"}), round(kgclue_f1("大学武汉", {"武汉大学"}), 3)
    (0.8, 0.5)
    """
    told = kgclue_form(answer)
    return max((_similarity(told, kgclue_form(g)) for g in gold), default=0.0)


def _similarity(left: str, right: str) -> float:
    length = len(left) + len(right)
    return 2.0 * LCSseq.similarity(left, right) / length if length else 0.0
