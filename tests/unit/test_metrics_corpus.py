"""Corpus BLEU: parity with sacrebleu, also of each resample, and how it differs from the mean of sentence BLEU."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU

from eval.corpus import N_STATISTICS, bleu_row, bootstrap_corpus_bleu, corpus_bleu, told_bleu_row
from eval.text import bleu

text = st.text("武汉理工 a1，", max_size=12)
gold_text = st.text("武汉理工a1，", min_size=1, max_size=12)
pairs = st.lists(st.tuples(text, st.lists(gold_text, min_size=1, max_size=3, unique=True)), min_size=1, max_size=8)


def sacrebleu_score(questions: list[tuple[str, list[str]]], **settings: object) -> float:
    scorer = BLEU(tokenize="char", smooth_method="exp", **settings)  # type: ignore[arg-type]
    most = max(len(golds) for _, golds in questions)
    references = [[golds[i] if i < len(golds) else None for _, golds in questions] for i in range(most)]
    return scorer.corpus_score([answer for answer, _ in questions], references).score / 100


@given(pairs)
@settings(deadline=None)
def test_parity_with_sacrebleu(questions: list[tuple[str, list[str]]]) -> None:
    rows = np.array([bleu_row(answer, golds) for answer, golds in questions])
    expected = sacrebleu_score(questions, effective_order=True)
    assert float(corpus_bleu(rows.sum(axis=0))) == pytest.approx(expected)


@given(pairs)
@settings(deadline=None)
def test_the_defaults_of_sacrebleu_agree_where_four_characters_are_right(
    questions: list[tuple[str, list[str]]],
) -> None:
    questions.append(("武汉大学", ["武汉大学"]))
    rows = np.array([bleu_row(answer, golds) for answer, golds in questions])
    assert float(corpus_bleu(rows.sum(axis=0))) == pytest.approx(sacrebleu_score(questions))


@given(answer=text, golds=st.lists(gold_text, min_size=1, max_size=3, unique=True))
def test_a_corpus_of_one_question_is_sentence_bleu(answer: str, golds: list[str]) -> None:
    assert float(corpus_bleu(np.array(bleu_row(answer, golds)))) == pytest.approx(bleu(answer, golds))


def test_long_answers_weigh_more_and_silence_costs_length() -> None:
    questions = [("男", ["男"]), ("女", ["男"]), ("武汉理工大学出版社", ["武汉理工大学出版社"])]
    rows = np.array([bleu_row(answer, golds) for answer, golds in questions])
    # 10 of 11 characters, 8 of 8 pairs, 7 of 7, 6 of 6.
    assert float(corpus_bleu(rows.sum(axis=0))) == pytest.approx((10 / 11) ** (1 / 4))
    assert float(corpus_bleu(rows).mean()) == pytest.approx((1 + 0 + 1) / 3)
    silent = np.array([told_bleu_row(None, ["男"]), told_bleu_row("北京", ["北京"])])
    assert float(corpus_bleu(silent.sum(axis=0))) == pytest.approx(np.exp(1 - 3 / 2))


def test_an_unanswerable_question_adds_nothing() -> None:
    assert told_bleu_row("北京", []) == (0.0,) * N_STATISTICS
    assert isnan(float(corpus_bleu(np.zeros(N_STATISTICS))))
    assert all(map(isnan, bootstrap_corpus_bleu(np.zeros((3, N_STATISTICS)))))
    assert all(map(isnan, bootstrap_corpus_bleu(np.empty((0, N_STATISTICS)))))


def test_the_interval_is_that_of_corpora_scored_one_by_one() -> None:
    rng = np.random.default_rng(5)
    golds = ["".join(rng.choice(list("甲乙丙丁"), size=rng.integers(1, 7))) for _ in range(30)]
    questions = [(g if n % 3 else g[::-1], [g]) for n, g in enumerate(golds)]
    rows = np.array([bleu_row(answer, gold) for answer, gold in questions])
    draws = np.random.default_rng(7).multinomial(30, np.full(30, 1 / 30), size=50)
    scores = [
        sacrebleu_score([q for q, n in zip(questions, draw, strict=True) for _ in range(n)], effective_order=True)
        for draw in draws
    ]
    expected = np.quantile(scores, [0.025, 0.975]).tolist()
    assert bootstrap_corpus_bleu(rows, resamples=50, seed=7) == pytest.approx(tuple(expected))
