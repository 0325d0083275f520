"""BLEU, ROUGE and exact match: Chinese scores what it should, and parity with sacrebleu and rouge-score."""

from __future__ import annotations

import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from eval.text import bleu, bleu_counts, exact_match, rouge, tokenize

chinese = st.text("武汉理工大学出版社年月日", min_size=1, max_size=20)


class Tokenizer:
    """Ours, as rouge-score takes it."""

    def tokenize(self, text: str) -> list[str]:
        return tokenize(text)


latin = st.lists(st.sampled_from(["war", "and", "peace", "1867", "tolstoy"]), min_size=1, max_size=8).map(" ".join)


@pytest.mark.parametrize("text", ["男", "2004年", "武汉大学出版社", "War and Peace", "……"])
def test_a_right_answer_scores_one_whatever_its_length(text: str) -> None:
    assert exact_match(text, {text}) == 1.0
    assert bleu(text, {text}) == pytest.approx(1.0)
    assert rouge(text, {text}).rouge_1 == rouge(text, {text}).rouge_l == 1.0


def test_an_empty_answer_scores_nothing() -> None:
    assert exact_match("", {"男"}) == bleu("", {"男"}) == 0.0
    assert rouge("", {"男"}) == (0.0, 0.0, 0.0)


def test_a_partly_right_chinese_answer_is_worth_something() -> None:
    assert bleu("武汉大学", {"武汉理工大学"}) == pytest.approx(0.274031, abs=1e-6)
    assert rouge("武汉大学", {"武汉理工大学"}) == (0.8, 0.5, 0.8)
    assert rouge("大学武汉", {"武汉大学"}) == (1.0, pytest.approx(2 / 3), 0.5)


def test_the_best_of_several_gold_answers_counts() -> None:
    assert bleu("李白", {"杜甫", "李白"}) == 1.0
    assert rouge("李白", {"杜甫", "李白"}) == (1.0, 1.0, 1.0)
    assert exact_match("李白", {"杜甫", "李白"}) == 1.0


def test_latin_words_stay_whole_and_marks_go() -> None:
    assert tokenize("《Écoute》，3.14 km²") == ["écoute", "3", "14", "km", "²"]
    assert tokenize("カーヤ") == ["カ", "ー", "ヤ"]
    assert tokenize(" ") == []


@given(answer=chinese, gold=st.lists(chinese, min_size=1, max_size=3, unique=True))
def test_bleu_parity_with_sacrebleu(answer: str, gold: list[str]) -> None:
    spaced = sacrebleu.sentence_bleu(
        " ".join(answer), [" ".join(g) for g in gold], tokenize="none", smooth_method="exp", use_effective_order=True
    )
    assert bleu(answer, gold) == pytest.approx(spaced.score / 100)


@given(answer=latin, gold=latin)
def test_rouge_parity_with_rouge_score_on_latin_text(answer: str, gold: str) -> None:
    reference = RougeScorer(["rouge1", "rouge2", "rougeL"]).score(gold, answer)
    expected = [reference[name].fmeasure for name in ("rouge1", "rouge2", "rougeL")]
    assert rouge(answer, {gold}) == pytest.approx(expected)


@given(answer=chinese, gold=chinese)
def test_rouge_of_chinese_is_rouge_of_words_for_characters(answer: str, gold: str) -> None:
    word = {character: f"w{ord(character)}" for character in answer + gold}
    reference = RougeScorer(["rouge1", "rouge2", "rougeL"]).score(
        *(" ".join(word[c] for c in t) for t in (gold, answer))
    )
    expected = [reference[name].fmeasure for name in ("rouge1", "rouge2", "rougeL")]
    assert rouge(answer, {gold}) == pytest.approx(expected)


@given(answer=chinese, gold=st.lists(chinese, min_size=1, max_size=3))
def test_an_equal_answer_scores_without_being_scored_what_the_libraries_give(answer: str, gold: list[str]) -> None:
    gold.append(answer)
    scorer = RougeScorer(["rouge1", "rouge2", "rougeL"], tokenizer=Tokenizer())
    reference = scorer.score_multi(gold, answer)
    assert rouge(answer, gold) == tuple(reference[name].fmeasure for name in ("rouge1", "rouge2", "rougeL"))
    counted = sacrebleu.BLEU(tokenize="char", effective_order=True).sentence_score(answer, gold)
    assert bleu(answer, gold) == pytest.approx(counted.score / 100)
    assert bleu_counts(answer, gold) == (
        tuple(counted.counts),
        tuple(counted.totals),
        counted.sys_len,
        counted.ref_len,
    )
