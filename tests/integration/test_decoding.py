"""What is written: freely, among candidates, in beams and piece by piece."""

from __future__ import annotations

import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="needs the extra [models]")

from kbqa_agent import decoding  # noqa: E402 - after the check for torch
from kbqa_agent.generation import HuggingFaceGenerator, load_generator  # noqa: E402

PROMPTS = ["【坛经】\n作者：惠能\n朝代：唐\n问：《坛经》的作者是谁？\n答：", "问：《坛经》是谁写的？\n答：", "答："]
ANSWERS = ["惠能", "惠", "唐", "唐朝", "高等教育出版社", "350", "", "不知道"]
SOME = st.lists(st.text("惠能唐朝3 5\n", max_size=6), min_size=1, max_size=6)
FEW = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def likeliest_path(model, tokenizer, prompt, candidates):
    """The candidate that is reached by the likeliest token of those that still lead to one, without any cache."""
    prompt = tokenizer(prompt)["input_ids"]
    left = [(*tokenizer(text, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id) for text in candidates]
    written = []
    while not written or written[-1] != tokenizer.eos_token_id:
        next_tokens = {row[len(written)] for row in left}
        with torch.no_grad():
            logits = model(torch.tensor([prompt + written])).logits[0, -1]
        written.append(max(sorted(next_tokens), key=lambda token: logits[token].item()))
        left = [row for row in left if row[: len(written)] == tuple(written)]
    return tokenizer.decode(written[:-1])


@FEW
@given(candidates=SOME)
def test_only_a_candidate_can_be_written_and_it_is_the_likeliest_path(loaded, generator, candidates):
    (chosen,) = generator.generate(PROMPTS[:1], among=[candidates])
    assert chosen in candidates
    assert chosen == likeliest_path(*loaded, PROMPTS[0], candidates)


@FEW
@given(candidates=SOME, beams=st.integers(2, 5))
def test_beams_write_candidates_only(generator, candidates, beams):
    assert generator.generate(PROMPTS[:1], among=[candidates], beams=beams)[0] in candidates


def test_each_prompt_has_its_own_candidates(generator):
    among = [ANSWERS, ["唐", "宋"], ["惠能"]]
    together = generator.generate(PROMPTS, among=among)
    assert together == [generator.generate([p], among=[a])[0] for p, a in zip(PROMPTS, among, strict=True)]
    assert together[2] == "惠能"
    assert generator.generate(PROMPTS[:2], among=[[], ["唐"]]) == ["", "唐"]
    assert generator.generate([], among=[]) == []


def test_the_end_token_inside_a_candidate_is_no_way_out(generator):
    assert generator.generate(PROMPTS[:1], among=[["惠<|im_end|>能"]]) == ["惠<|im_end|>能"]


def test_a_candidate_longer_than_the_context_can_be_chosen(generator):
    long = "惠能" * 300
    assert generator.generate(PROMPTS[:1], among=[[long]]) == [long]


def test_enough_beams_find_the_likeliest_of_all_candidates(loaded, generator):
    one_token = ["a", "b", "c", "d", "e", "f"]
    scores = generator.score(PROMPTS[0], one_token)
    (best,) = generator.generate(PROMPTS[:1], among=[one_token], beams=6)
    assert best == one_token[int(scores.argmax())]


def test_small_batches_give_what_large_ones_give(generator, monkeypatch):
    large = generator.generate(PROMPTS, 6), generator.generate(PROMPTS, among=[ANSWERS] * 3)
    monkeypatch.setattr(decoding, "CACHED_TOKENS", 1)
    assert (generator.generate(PROMPTS, 6), generator.generate(PROMPTS, among=[ANSWERS] * 3)) == large


@pytest.mark.parametrize("prompt", PROMPTS)
def test_the_pieces_of_a_stream_are_the_answer(generator, prompt):
    pieces = list(generator.stream(prompt, max_new_tokens=12))
    assert all(pieces)
    assert "".join(pieces) == generator.generate([prompt], 12)[0]


def test_a_models_own_settings_for_generation_change_nothing(tiny_models, tmp_path):
    """Such as a hub's model has for chatting: they would forbid what was said in the prompt."""
    from transformers import GenerationConfig

    folder = tmp_path / "chatty"
    shutil.copytree(tiny_models["llama"], folder)
    settings = GenerationConfig.from_pretrained(folder)
    settings.update(repetition_penalty=5.0, no_repeat_ngram_size=1, do_sample=True, top_k=3, min_new_tokens=9)
    settings.save_pretrained(folder)
    plain, chatty = load_generator(tiny_models["llama"]), load_generator(folder)
    expected = plain.generate(PROMPTS, 12)
    assert len(set(expected[0])) < len(expected[0]), "nothing is repeated, so no penalty could show"
    assert chatty.generate(PROMPTS, 12) == expected
    assert chatty.generate(PROMPTS, among=[ANSWERS] * 3) == plain.generate(PROMPTS, among=[ANSWERS] * 3)
    assert "".join(chatty.stream(PROMPTS[0], 12)) == expected[0]
    assert chatty._model.generation_config.eos_token_id == 1


def test_a_stream_gives_whole_characters_and_stops_at_the_end(loaded, monkeypatch):
    model, tokenizer = loaded
    steps = iter(tokenizer(" 巩俐 主演\n答", add_special_tokens=False)["input_ids"])
    forward = model.forward

    def scripted(*args, **kwargs):
        output = forward(*args, **kwargs)
        output.logits[:] = 0.0
        output.logits[:, -1, next(steps)] = 100.0
        return output

    monkeypatch.setattr(model, "forward", scripted)
    pieces = list(HuggingFaceGenerator(model, tokenizer, "scripted").stream(PROMPTS[0]))
    assert pieces == ["巩", "俐", " 主", "演"]
