"""Adapters: several on one model answer as each would alone, and merging can be taken back."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra [models]")

from kb_index.errors import ModelError  # noqa: E402 - after the check for torch
from kbqa_agent.adapters import SharedModel  # noqa: E402
from kbqa_agent.causal_models import load_model, with_adapter  # noqa: E402
from kbqa_agent.generation import HuggingFaceGenerator  # noqa: E402

PROMPT = "【坛经】\n作者：惠能\n朝代：唐\n问：《坛经》是谁写的？\n答："
ANSWERS = ["惠能", "唐", "同济大学数学系"]


def make_adapter(model_folder: Path, folder: Path, seed: int) -> Path:
    """A LoRA adapter with random weights in both factors, so that it changes what the model says."""
    from peft import LoraConfig, get_peft_model

    from finetune.models import linear_layers, save_adapter

    network, _ = load_model(model_folder, dtype=torch.float32)
    names, transposed = linear_layers(network)
    torch.manual_seed(seed)
    with pytest.warns(FutureWarning, match="is_gradient_checkpointing"):
        tuned = get_peft_model(network, LoraConfig(r=2, target_modules=names, fan_in_fan_out=transposed))
    for name, parameter in tuned.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    save_adapter(tuned, folder, str(model_folder))
    return folder


@pytest.fixture(scope="module")
def adapters(tiny_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("adapters")
    return [make_adapter(tiny_model, folder / name, seed) for seed, name in enumerate(("first", "second"))]


def alone(model: Path, adapter: Path | None) -> HuggingFaceGenerator:
    network, tokenizer = load_model(model, dtype=torch.float32)
    if adapter is not None:
        network = with_adapter(network, adapter).merge_and_unload()
    return HuggingFaceGenerator(network.eval(), tokenizer, "alone")


def test_adapters_on_one_model_answer_as_each_does_merged_into_its_own(tiny_model, adapters):
    shared = SharedModel(tiny_model, dtype=torch.float32)
    generators = {folder: shared.generator(folder) for folder in (None, *adapters)}
    assert generators[adapters[1]].name == f"{tiny_model.name}+second"
    scores = []
    for _ in range(2):  # in turns, so that each finds another's adapter switched on
        for folder, generator in generators.items():
            scores.append(generator.score(PROMPT, ANSWERS))
            np.testing.assert_allclose(scores[-1], alone(tiny_model, folder).score(PROMPT, ANSWERS), atol=1e-4, rtol=0)
            assert generator.generate([PROMPT], 6) == alone(tiny_model, folder).generate([PROMPT], 6)
            assert "".join(generator.stream(PROMPT, 6)) == generator.generate([PROMPT], 6)[0]
    assert min(np.abs(a - b).max() for i, a in enumerate(scores[:3]) for b in scores[:i]) > 0.01


def test_threads_that_ask_different_adapters_do_not_mix_them(tiny_model, adapters):
    shared = SharedModel(tiny_model, dtype=torch.float32)
    generators = [shared.generator(folder) for folder in (None, *adapters)]
    expected = [generator.score(PROMPT, ANSWERS) for generator in generators]
    wrong: list[int] = []

    def ask(number: int) -> None:
        scores = [generators[number].score(PROMPT, ANSWERS) for _ in range(10)]
        wrong.extend(number for each in scores if np.abs(each - expected[number]).max() > 1e-4)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_the_same_adapter_is_loaded_once(tiny_model, adapters):
    shared = SharedModel(tiny_model, dtype=torch.float32)
    first, again = shared.generator(adapters[0]), shared.generator(str(adapters[0]))
    np.testing.assert_array_equal(first.score(PROMPT, ANSWERS), again.score(PROMPT, ANSWERS))
    assert len(shared._network.peft_config) == 1


def test_an_adapter_that_does_not_fit_leaves_the_others_at_work(tiny_models, tmp_path):
    fitting = make_adapter(tiny_models["llama"], tmp_path / "fitting", 0)
    foreign = make_adapter(tiny_models["gpt2"], tmp_path / "foreign", 0)
    shared = SharedModel(tiny_models["llama"], dtype=torch.float32)
    with pytest.raises(ModelError, match="foreign"):
        shared.generator(foreign)
    bare = alone(tiny_models["llama"], None).score(PROMPT, ANSWERS)
    np.testing.assert_allclose(shared.generator().score(PROMPT, ANSWERS), bare, atol=1e-4, rtol=0)
    generator = shared.generator(fitting)
    before = generator.score(PROMPT, ANSWERS)
    with pytest.raises(ModelError, match="foreign"):
        shared.generator(foreign)
    with pytest.raises(ModelError, match=r"has no adapter_config\.json"):
        shared.generator(tmp_path)
    np.testing.assert_array_equal(generator.score(PROMPT, ANSWERS), before)


def test_merging_changes_nothing_but_the_speed_and_can_be_taken_back(tiny_model, adapters):
    bare = alone(tiny_model, None).score(PROMPT, ANSWERS)
    network, tokenizer = load_model(tiny_model, dtype=torch.float32)
    tuned = with_adapter(network, adapters[0]).eval()
    generator = HuggingFaceGenerator(tuned, tokenizer, "tuned")
    unmerged = generator.score(PROMPT, ANSWERS)
    tuned.merge_adapter()
    np.testing.assert_allclose(generator.score(PROMPT, ANSWERS), unmerged, atol=1e-4, rtol=0)
    tuned.unmerge_adapter()
    np.testing.assert_allclose(generator.score(PROMPT, ANSWERS), unmerged, atol=1e-4, rtol=0)
    with tuned.disable_adapter():
        np.testing.assert_allclose(generator.score(PROMPT, ANSWERS), bare, atol=1e-4, rtol=0)
    assert np.abs(unmerged - bare).max() > 0.01
