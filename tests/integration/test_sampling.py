"""Sampling: what is drawn is the model's, whatever is batched with it, and its likelihood is right."""

from __future__ import annotations

from collections import Counter

import pytest

torch = pytest.importorskip("torch", reason="needs the extra [models]")

from kb_index.errors import InputError  # noqa: E402 - after the check for torch
from kbqa_agent import sampling  # noqa: E402
from kbqa_agent.generation import HuggingFaceGenerator  # noqa: E402

PROMPTS = ["【坛经】\n作者：惠能\n朝代：唐\n问：《坛经》的作者是谁？\n答：", "问：《坛经》是谁写的？\n答：", "答："]


def texts(samples):
    return [[each.text for each in row] for row in samples]


def test_every_prompt_gets_k_answers_and_the_seed_decides_them(generator):
    first = generator.sample(PROMPTS, 4, max_new_tokens=6, seed=1)
    assert [len(row) for row in first] == [4, 4, 4]
    assert len({each.text for row in first for each in row}) > 6
    assert texts(generator.sample(PROMPTS, 4, max_new_tokens=6, seed=1)) == texts(first)
    assert texts(generator.sample(PROMPTS, 4, max_new_tokens=6, seed=2)) != texts(first)
    assert generator.sample([], 4) == []


def test_the_prompts_beside_it_do_not_change_what_is_drawn_for_one(generator):
    together = generator.sample(PROMPTS, 4, max_new_tokens=6)
    for prompt, expected in zip(PROMPTS, together, strict=True):
        (alone,) = generator.sample([prompt], 4, max_new_tokens=6)
        assert texts([alone]) == texts([expected])
        assert [s.log_likelihood for s in alone] == pytest.approx([s.log_likelihood for s in expected], abs=1e-4)


def test_small_batches_give_what_large_ones_give(generator, monkeypatch):
    large = generator.sample(PROMPTS, 3, max_new_tokens=6)
    monkeypatch.setattr(sampling, "CACHED_TOKENS", 1)
    assert texts(generator.sample(PROMPTS, 3, max_new_tokens=6)) == texts(large)


def test_more_samples_begin_with_the_same(generator):
    few, many = (generator.sample(PROMPTS[:1], k, max_new_tokens=5)[0] for k in (2, 5))
    assert [s.text for s in many[:2]] == [s.text for s in few]


def test_the_same_prompt_twice_is_sampled_twice(generator):
    first, second = generator.sample([PROMPTS[0]] * 2, 3, max_new_tokens=8)
    assert [s.text for s in first] != [s.text for s in second]


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_the_likelihood_is_the_models_own_at_temperature_one(loaded, temperature):
    model, tokenizer = loaded
    options = sampling.SamplingOptions(3, temperature, 1.0, 8)
    prompt = tokenizer(PROMPTS[0])["input_ids"]
    uniform = torch.rand(3, 8, generator=torch.Generator().manual_seed(0))
    batch = sampling._Batch([prompt], [[1] * len(prompt)], uniform, [tokenizer.eos_token_id])
    with torch.no_grad():
        for tokens, total in sampling._draw_answers(model, batch, options):
            logits = model(torch.tensor([prompt + tokens])).logits[0, len(prompt) - 1 : -1]
            expected = logits.log_softmax(-1).gather(1, torch.tensor(tokens)[:, None]).sum()
            assert total == pytest.approx(expected.item(), abs=1e-4)


def draws(probabilities, n=4000, **options):
    """How often each token is drawn, as a share."""
    uniform = torch.rand(n, generator=torch.Generator().manual_seed(0))
    rows = torch.tensor(probabilities).log().expand(n, -1)
    drawn = sampling._draw(rows, uniform, sampling.SamplingOptions(1, **options))
    return {token: count / n for token, count in sorted(Counter(drawn.tolist()).items())}


def test_tokens_are_drawn_as_often_as_they_are_probable():
    assert draws([0.1, 0.6, 0.3]) == pytest.approx({0: 0.1, 1: 0.6, 2: 0.3}, abs=0.03)
    # Squared and made to sum to one: 0.01, 0.36 and 0.09 of 0.46.
    assert draws([0.1, 0.6, 0.3], temperature=0.5) == pytest.approx({0: 0.022, 1: 0.783, 2: 0.196}, abs=0.03)
    assert draws([0.1, 0.6, 0.3], top_p=0.7) == pytest.approx({1: 0.667, 2: 0.333}, abs=0.03)
    assert draws([0.1, 0.6, 0.3], top_p=0.6) == {1: 1.0}


def test_a_nucleus_of_more_tokens_than_are_sorted_first(monkeypatch):
    monkeypatch.setattr(sampling, "NUCLEUS", 1)
    assert draws([0.1, 0.6, 0.3], top_p=0.7) == pytest.approx({1: 0.667, 2: 0.333}, abs=0.03)


def test_a_low_temperature_gives_the_greedy_answer(generator):
    (greedy,) = generator.generate(PROMPTS[:1], max_new_tokens=6)
    assert {s.text for s in generator.sample(PROMPTS[:1], 3, temperature=1e-4, max_new_tokens=6)[0]} == {greedy}


def test_an_answer_that_ends_is_counted_with_its_end_token(loaded, monkeypatch):
    model, tokenizer = loaded
    ids = [*tokenizer("惠能", add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
    steps = iter(ids)
    forward = model.forward

    def scripted(*args, **kwargs):
        output = forward(*args, **kwargs)
        output.logits[:] = 0.0
        output.logits[:, -1, next(steps)] = 100.0
        return output

    monkeypatch.setattr(model, "forward", scripted)
    ((drawn,),) = HuggingFaceGenerator(model, tokenizer, "scripted").sample(PROMPTS[:1], 1)
    assert drawn == ("惠能", pytest.approx(0.0, abs=1e-4), len(ids))


@pytest.mark.parametrize("wrong", [{"k": 0}, {"temperature": 0.0}, {"top_p": 0.0}, {"top_p": 1.5}])
def test_options_out_of_range(generator, wrong):
    with pytest.raises(InputError, match=f"{next(iter(wrong))}="):
        generator.sample(PROMPTS, **{"k": 2, **wrong})
