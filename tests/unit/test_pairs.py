"""Pairs from questions: gold against the best wrong candidates, under the prompt of `ask`."""

from __future__ import annotations

from finetune.pairs import Retrieved, pairs_from_questions
from finetune.preferences import Preference
from kb_index.types import Triple
from kbqa_agent.types import QAExample

TRIPLES = [Triple(0, "坛经", "作者", "惠 能", 0), Triple(1, "坛经", "朝代", "唐", 0)]
PROMPT = "【坛经】\n作者：惠 能\n朝代：唐\n问：谁写的？\n答："


def pairs(answers: tuple[str, ...], candidates: list[str], n_wrong: int = 2):
    return pairs_from_questions(
        [QAExample("1", "谁写的？", answers)], lambda _: Retrieved(TRIPLES, candidates), n_wrong
    )


def test_gold_is_chosen_over_the_best_wrong_ones():
    assert pairs(("惠 能",), ["唐", "惠 能", "宋", "元"]).pairs == [
        Preference(PROMPT, "惠 能", "唐"),
        Preference(PROMPT, "惠 能", "宋"),
    ]


def test_other_gold_answers_and_other_spellings_are_not_wrong():
    assert pairs(("惠 能", "唐"), ["唐", "惠\u00a0能", "宋"]).pairs == [Preference(PROMPT, "惠 能", "宋")]


def test_questions_without_pairs_are_counted():
    assert pairs(("神秀",), ["唐"]) == ([], 1, 0)
    assert pairs((), ["唐"]) == ([], 1, 0)
    assert pairs(("唐",), ["唐"]) == ([], 0, 1)
