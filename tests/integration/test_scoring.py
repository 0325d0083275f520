"""Likelihoods: one shared prompt gives what one prompt for each answer gives."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra [models]")

from kbqa_agent import scoring  # noqa: E402 - after the check for torch
from kbqa_agent.causal_models import load_model  # noqa: E402
from kbqa_agent.generation import HuggingFaceGenerator  # noqa: E402
from kbqa_agent.scoring import score_answers  # noqa: E402
from kbqa_agent.scoring_together import model_by_part, score_together  # noqa: E402

PROMPT = "【坛经】\n作者：惠能\n朝代：唐\n问：《坛经》是谁写的？\n答："
ANSWERS = ["惠能", "唐", "同济大学数学系", "1232万", "惠能", "x" * 70]


def one_by_one(model, tokenizer, prompt: str, answer: str) -> float:
    prompt_ids = tokenizer(prompt)["input_ids"]
    answer_ids = [*tokenizer(answer)["input_ids"], tokenizer.eos_token_id]
    with torch.no_grad():
        logits = model(torch.tensor([prompt_ids + answer_ids])).logits[0]
    log_probabilities = logits.log_softmax(-1)
    return sum(log_probabilities[len(prompt_ids) + i - 1, token].item() for i, token in enumerate(answer_ids))


def test_score_equals_one_by_one(loaded):
    scores = score_answers(*loaded, PROMPT, ANSWERS)
    expected = [one_by_one(*loaded, PROMPT, answer) for answer in ANSWERS]
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, expected, atol=1e-4, rtol=0)


def test_a_model_that_takes_no_masks_gets_a_batch(loaded, monkeypatch):
    expected = [one_by_one(*loaded, PROMPT, answer) for answer in ANSWERS]
    monkeypatch.setattr(scoring, "MASK_IS_POSITION", (loaded[0].config.model_type,))
    np.testing.assert_allclose(score_answers(*loaded, PROMPT, ANSWERS), expected, atol=1e-4, rtol=0)


def other_model(architecture):
    from transformers import BloomConfig, BloomForCausalLM, MistralConfig, MistralForCausalLM

    torch.manual_seed(0)
    if architecture == "bloom":
        return BloomForCausalLM(BloomConfig(vocab_size=400, hidden_size=32, n_layer=2, n_head=2)).eval()
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2, "num_key_value_heads": 1}
    config = MistralConfig(vocab_size=400, num_hidden_layers=2, sliding_window=16, **sizes)
    return MistralForCausalLM(config).eval()


@pytest.mark.parametrize("architecture", ["bloom", "mistral"])
def test_positions_read_off_the_mask_and_sliding_windows(loaded, architecture):
    model, tokenizer = other_model(architecture), loaded[1]
    expected = [one_by_one(model, tokenizer, PROMPT, answer) for answer in ANSWERS]
    np.testing.assert_allclose(score_answers(model, tokenizer, PROMPT, ANSWERS), expected, atol=1e-4, rtol=0)


def test_score_does_not_depend_on_the_other_answers(loaded):
    alone = [score_answers(*loaded, PROMPT, [answer])[0] for answer in ANSWERS]
    np.testing.assert_allclose(score_answers(*loaded, PROMPT, ANSWERS), alone, atol=1e-4, rtol=0)


def test_an_empty_answer_is_scored_by_its_end_token(loaded):
    model, tokenizer = loaded
    assert score_answers(model, tokenizer, PROMPT, [""])[0] == pytest.approx(
        one_by_one(model, tokenizer, PROMPT, ""), abs=1e-4
    )


def test_no_answers_give_no_scores(loaded):
    assert score_answers(*loaded, PROMPT, []).shape == (0,)


def test_a_prompt_over_the_context_is_scored_without_its_last_triples(loaded):
    model, tokenizer = loaded
    lines = [f"属性{i}：惠能的第{i}个值" for i in range(400)]
    question = "问：《坛经》是谁写的？\n答："
    scores = score_answers(model, tokenizer, "\n".join([*lines, question]), ["惠能", "唐"])
    assert np.isfinite(scores).all()
    assert scores[0] != scores[1]


PROMPTS = [
    (PROMPT, ANSWERS),
    ("问：谁？\n答：", ["惠能"]),
    (PROMPT * 3, ["唐", "同济大学数学系"]),
    ("问：", ANSWERS[:3]),
]


@pytest.mark.parametrize(("dtype", "apart"), [(torch.bfloat16, 0.5), (torch.float32, 1e-4)])
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_several_prompts_together_get_the_numbers_of_each_alone(tiny_models, family, dtype, apart):
    network, tokenizer = load_model(tiny_models[family], dtype=dtype)
    generator = HuggingFaceGenerator(network.eval(), tokenizer, "tiny")
    for asked in (PROMPTS, [*PROMPTS, ("问：", [""])], []):
        alone = [generator.score(*of_prompt) for of_prompt in asked]
        for together, one in zip(generator.score_many(asked), alone, strict=True):
            np.testing.assert_allclose(together, one, atol=apart, rtol=0)


def test_parts_of_a_row_do_not_see_each_other(tiny_models):
    network, tokenizer = load_model(tiny_models["llama"])
    by_part = model_by_part(network.eval())
    assert by_part.lm_head.weight is network.lm_head.weight
    assert network.config._attn_implementation == "sdpa"
    others = [("问：别的？\n答：", ["惠能"]), PROMPTS[2], PROMPTS[3]]
    [first, *_], [second, *_] = (
        score_together(by_part, tokenizer, [PROMPTS[0], *beside]) for beside in (others, reversed(others))
    )
    np.testing.assert_array_equal(first, second)


def test_the_generator_scores_alike(loaded):
    generator = HuggingFaceGenerator(*loaded, "tiny")
    np.testing.assert_array_equal(generator.score(PROMPT, ANSWERS), score_answers(*loaded, PROMPT, ANSWERS))
