"""Reward models of tiny bodies: what they learn, what is written, going on where it stopped, and what is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra [models]")

from finetune import reward, reward_config, reward_trainer  # noqa: E402 - after the check for torch
from finetune.comparisons import TokenComparison, collate_comparisons, encode_comparisons, grouped  # noqa: E402
from finetune.preferences import Preference, read_preferences  # noqa: E402
from finetune.reward import load_reward_model, train_reward_model  # noqa: E402
from finetune.reward_config import RewardConfig  # noqa: E402
from finetune.reward_network import can_share_prompts, open_reward_base, rewards_of, with_reward_adapter  # noqa: E402
from finetune.reward_trainer import pairwise_loss  # noqa: E402
from kb_index.errors import InputError, ModelError, StorageError, TrainingError  # noqa: E402


def prompt(number: int) -> str:
    return f"【书{number}】\n作者：惠能{number}\n页数：{350 + number}\n问：《书{number}》是谁写的？\n答："


PAIRS = [
    Preference(prompt(i), f"惠能{i}", wrong) for i in range(24) for wrong in (f"{350 + i}", "武汉" if i % 2 else "中国")
]


def config_for(model: Path, out: Path, **settings) -> RewardConfig:
    base = RewardConfig(out=out, model=str(model), rank=4, alpha=8, max_steps=4, max_tokens=128, control=False)
    return replace(base, **({"learning_rate": 1e-2} | settings))


def train(model: Path, out: Path, pairs=PAIRS, **settings) -> reward.RewardResult:
    return train_reward_model(config_for(model, out, **settings), pairs, progress=False)


def metrics(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def trained(tiny_models, tmp_path_factory) -> Path:
    """A folder with a reward model on the tiny LLaMA."""
    out = tmp_path_factory.mktemp("trained") / "reward"
    train(tiny_models["llama"], out)
    return out


@pytest.fixture
def gpt_neo(tiny_models, tmp_path) -> Path:
    """A tiny GPT-Neo, the report's reward model, whose every second layer sees 16 tokens only."""
    from transformers import AutoModelForCausalLM, GPTNeoConfig

    shutil.copytree(
        tiny_models["gpt2"], tmp_path / "neo", ignore=shutil.ignore_patterns("*.safetensors", "config.json")
    )
    config = GPTNeoConfig(
        vocab_size=400,
        max_position_embeddings=256,
        hidden_size=32,
        num_layers=2,
        num_heads=2,
        attention_types=[[["global", "local"], 1]],
        window_size=16,
        bos_token_id=0,
        eos_token_id=1,
    )
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "neo")
    return tmp_path / "neo"


def test_a_reward_model_learns_what_is_preferred_and_is_opened_again(tiny_model, tmp_path, monkeypatch):
    seen, fit = [], reward._fit

    def remember(config, out, training, *rest):
        seen.append([pair for one in training for pair in one.pairs])
        return fit(config, out, training, *rest)

    monkeypatch.setattr(reward, "_fit", remember)
    result = train(tiny_model, tmp_path / "out", max_steps=20, control=True)
    assert (result.n_prompts, result.n_pairs, result.n_held_out, result.steps) == (19, 38, 10, 20)
    assert result.accuracy.share >= 0.9
    assert result.accuracy.lower <= result.accuracy.share <= result.accuracy.upper
    assert result.control is not None
    assert result.control.share < result.accuracy.share
    right, turned = seen
    assert sum(pair != other for pair, other in zip(right, turned, strict=True)) == len(right) // 2
    scores = load_reward_model(tmp_path / "out").score([prompt(3)] * 2, ["惠能3", "353"])
    assert (scores.shape, scores.dtype) == ((2,), np.float32)
    assert scores[0] > scores[1]


def test_gpt_neo_reads_each_answer_alone_and_learns_too(gpt_neo, tmp_path):
    base = open_reward_base(gpt_neo)
    assert not can_share_prompts(base.network, 64)
    assert train(gpt_neo, tmp_path / "out", max_steps=20).accuracy.share >= 0.9


def test_answers_behind_one_prompt_are_scored_as_if_each_stood_alone(tiny_model):
    base = open_reward_base(tiny_model)
    network = base.network.float().eval()
    assert can_share_prompts(network, 1024)
    rows = encode_comparisons(base.tokenizer, grouped(PAIRS[:6]), 128).rows
    with torch.inference_mode():
        together, alone = (rewards_of(network, collate_comparisons(rows, shared)) for shared in (True, False))
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


def test_scores_do_not_depend_on_company_or_order(trained):
    model = load_reward_model(trained)
    prompts = [prompt(1), prompt(2), "问：谁？\n答：", prompt(1)]
    answers = ["惠能1", "武汉", "惠能", "中国" * 9]
    together = model.score(prompts, answers)
    np.testing.assert_allclose(model.score(prompts[::-1], answers[::-1])[::-1], together, atol=0.1)
    alone = [model.score([p], [a])[0] for p, a in zip(prompts, answers, strict=True)]
    np.testing.assert_allclose(alone, together, atol=0.1)
    assert model.score([], []).shape == (0,)
    assert np.isfinite(model.score(["问：" + "长" * 999 + "\n答："], ["答" * 999])).all()
    with pytest.raises(ValueError, match="shorter"):
        model.score(["问"], [])


def test_the_loss_is_that_of_the_pairs_each_prompt_counted_alike():
    one, two = TokenComparison([1], [[2], [3]], [(0, 1)], 0), TokenComparison([1], [[2], [3], [4]], [(0, 1), (2, 1)], 1)
    inputs = collate_comparisons([one, two], shared=True)
    rewards = torch.tensor([2.0, 0.0, 1.0, 1.0, 3.0])
    # margins 2 | 0 and 2: (log(1 + e^-2) + (log 2 + log(1 + e^-2)) / 2) / 2
    assert pairwise_loss(rewards, inputs).item() == pytest.approx((0.126928 + (0.693147 + 0.126928) / 2) / 2, abs=1e-5)


def test_adapter_and_head_move_and_nothing_else(tiny_model, tmp_path, monkeypatch):
    seen = {}

    def remember(base, rank, alpha):
        seen["model"] = with_reward_adapter(base, rank, alpha)
        seen["before"] = {name: value.detach().clone() for name, value in seen["model"].named_parameters()}
        return seen["model"]

    monkeypatch.setattr(reward, "with_reward_adapter", remember)
    train(tiny_model, tmp_path)
    for name, parameter in seen["model"].named_parameters():
        assert torch.equal(parameter, seen["before"][name]) != parameter.requires_grad, name
        assert ("lora_" in name or "score.modules_to_save" in name) == parameter.requires_grad, name


def test_a_reward_model_may_begin_from_a_tuned_generator(tiny_models, tmp_path):
    from safetensors.torch import load_file

    from finetune import sft
    from finetune.config import SFTConfig
    from kbqa_agent.text2text import write_text2text

    write_text2text([(pair.prompt, pair.chosen) for pair in PAIRS], tmp_path / "rows.json")
    tuned = tmp_path / "sft"
    settings = SFTConfig(tmp_path / "rows.json", tuned, str(tiny_models["llama"]), rank=2, alpha=4, max_steps=2)
    sft.run(settings, progress=False)
    base = open_reward_base(tiny_models["llama"], tuned)
    network = with_reward_adapter(base, rank=16, alpha=32)
    begun = dict(network.named_parameters())
    for name, tensor in load_file(tuned / "adapter_model.safetensors").items():
        assert torch.equal(begun[name.replace(".weight", ".default.weight")], tensor.float())
    train(tiny_models["llama"], tmp_path / "out", adapter=tuned)
    shutil.rmtree(tuned)  # a reward model is whole without it
    assert load_reward_model(tmp_path / "out").score([prompt(0)], ["惠能0"]).shape == (1,)


def test_what_is_written(tiny_models, tmp_path):
    result = train(tiny_models["opt"], tmp_path, control=True, log_every=2, validate_every=3)
    assert {path.name for path in tmp_path.iterdir()} == {
        *("adapter_config.json", "adapter_model.safetensors", "reward.json", "record.json", "metrics.jsonl"),
        *("pairs.jsonl", "reward.png", "checkpoints", "control"),
    }
    assert read_preferences(tmp_path / "pairs.jsonl").pairs == PAIRS
    lines = metrics(tmp_path)
    assert [line["step"] for line in lines if "loss" in line] == [1, 2, 4]
    assert [line["step"] for line in lines if "held_out_accuracy" in line] == [3, 4]
    record = json.loads((tmp_path / "record.json").read_text(encoding="utf-8"))
    assert record["result"]["accuracy"] == result.accuracy._asdict()
    assert record["result"]["n_held_out"] == 10
    assert str(result).startswith(f"{tmp_path}: 4 steps on 38 pairs of 19 prompts in ")


@pytest.mark.parametrize(("n_pairs", "expected"), [(len(PAIRS), True), (len(PAIRS) - 1, False)])
def test_the_control_is_trained_where_it_is_cheap(tiny_models, tmp_path, monkeypatch, n_pairs, expected):
    monkeypatch.setattr(reward_config, "CONTROL_UP_TO", n_pairs)
    result = train(tiny_models["gpt2"], tmp_path, control=None, max_steps=1)
    assert (result.control is not None) == expected


def test_a_resumed_training_ends_where_an_unbroken_one_does(tiny_models, tmp_path, monkeypatch):
    from safetensors.torch import load_file

    settings = {"max_steps": 6, "save_every": 2, "validate_every": 2, "log_every": 1, "learning_rate": 1e-3}
    train(tiny_models["llama"], tmp_path / "whole", **settings)

    class Killed(Exception):
        pass

    def die(self, args, state, control, **kwargs):
        if state.global_step == 5:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(reward_trainer.RewardMetrics, "on_step_begin", die, raising=False)
        with pytest.raises(Killed):
            train(tiny_models["llama"], tmp_path / "broken", **settings)
    assert not (tmp_path / "broken" / "reward.json").exists()
    resumed = train(tiny_models["llama"], tmp_path / "broken", resume=True, **settings)
    assert resumed.steps == 6
    steps = [[line["step"] for line in metrics(tmp_path / name)] for name in ("whole", "broken")]
    assert steps[0] == steps[1]
    whole = load_file(tmp_path / "whole" / "adapter_model.safetensors")
    for name, tensor in load_file(tmp_path / "broken" / "adapter_model.safetensors").items():
        torch.testing.assert_close(tensor, whole[name], atol=1e-5, rtol=1e-4)


def test_a_training_is_not_resumed_with_other_pairs_or_settings(tiny_models, tmp_path):
    train(tiny_models["gpt2"], tmp_path, max_steps=1)
    with pytest.raises(InputError, match="resumed with other seed, pairs than it was begun with"):
        train(tiny_models["gpt2"], tmp_path, PAIRS[2:], max_steps=1, seed=1, resume=True)
    schedule = {"max_steps": 9, "epochs": 2.0, "warmup_share": 0.5, "max_grad_norm": 3.0}
    with pytest.raises(InputError, match="resumed with other max_steps, epochs, warmup_share, max_grad_norm than"):
        train(tiny_models["gpt2"], tmp_path, resume=True, **schedule)


def test_a_gradient_that_is_no_number_stops_before_the_weights_are_lost(tiny_models, tmp_path, monkeypatch):
    losses = iter(range(100))
    plain = reward_trainer.pairwise_loss
    monkeypatch.setattr(
        reward_trainer,
        "pairwise_loss",
        lambda rewards, inputs: plain(rewards, inputs) * (float("nan") if next(losses) >= 3 else 1),
    )
    with pytest.raises(
        TrainingError, match=r"^step 4: .* not a number; .*checkpoint-2 is the last good .*learning-rate$"
    ):
        train(tiny_models["gpt2"], tmp_path, save_every=2, rows_at_once=8)
    assert not (tmp_path / "reward.json").exists()


def memory_is_full(*_):
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")


def test_full_memory_names_the_setting_to_lower(tiny_models, tmp_path, monkeypatch):
    monkeypatch.setattr(reward_trainer, "rewards_of", memory_is_full)
    with pytest.raises(TrainingError, match=r"^out of memory; lower --rows-at-once \(now 2\) or --max-tokens"):
        train(tiny_models["gpt2"], tmp_path)


def test_a_base_that_memory_does_not_hold_is_named_with_what_helps(tiny_models, tmp_path, monkeypatch):
    monkeypatch.setattr(reward, "open_reward_base", memory_is_full)
    with pytest.raises(TrainingError, match=r"^out of memory; choose a smaller model$"):
        train(tiny_models["gpt2"], tmp_path)


def test_a_base_with_a_merged_adapter_is_another_model(tiny_models, trained, tmp_path):
    """Norms and embeddings are the same."""
    from transformers import AutoModelForCausalLM

    shutil.copytree(tiny_models["llama"], tmp_path / "merged")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    torch.manual_seed(7)
    for layer in model.model.layers:
        weight = layer.self_attn.q_proj.weight
        weight.data += 0.1 * torch.randn(len(weight), 2) @ torch.randn(2, weight.shape[1])
    model.save_pretrained(tmp_path / "merged")
    with pytest.raises(ModelError, match="was trained on another model than"):
        load_reward_model(trained, tmp_path / "merged")


def test_a_reward_model_of_another_tokenizer_is_refused(tiny_models, trained, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(tiny_models["llama"], other)
    tokenizer = json.loads((other / "tokenizer.json").read_text(encoding="utf-8"))
    merges = tokenizer["model"]["merges"]
    merges.pop()
    (other / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    vocabulary = tokenizer["model"]["vocab"]
    last = max(vocabulary, key=vocabulary.get)
    vocabulary["另"] = vocabulary.pop(last)
    (other / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    with pytest.raises(ModelError, match=r"was trained with another tokenizer than .*; give the model that it was"):
        load_reward_model(trained, other)


def test_a_reward_model_on_another_base_is_refused(tiny_models, trained, tmp_path):
    from transformers import AutoModelForCausalLM

    other = tmp_path / "other"
    shutil.copytree(tiny_models["llama"], other)
    torch.manual_seed(7)
    model = AutoModelForCausalLM.from_pretrained(other)
    model.model.embed_tokens.weight.data.normal_()
    model.save_pretrained(other)
    with pytest.raises(ModelError, match="was trained on another model than"):
        load_reward_model(trained, other)


def test_a_base_that_moved_is_named(tiny_models, trained, tmp_path):
    shutil.copytree(tiny_models["llama"], tmp_path / "moved")
    scores = [load_reward_model(trained, model).score([prompt(0)], ["惠能0"]) for model in (None, tmp_path / "moved")]
    assert scores[0] == scores[1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "reward.json").unlink(), r"has no reward\.json; expected a folder from"),
        (lambda folder: (folder / "reward.json").write_text("{"), r"reward\.json is damaged or of another version"),
        (lambda folder: (folder / "reward.json").write_text('{"format": 9}'), r"damaged or of another version"),
        (lambda folder: (folder / "adapter_model.safetensors").write_bytes(b"cut"), "does not fit this model"),
        (lambda folder: (folder / "adapter_model.safetensors").unlink(), r"has no adapter_model\.safetensors"),
    ],
)
def test_damaged_folders_are_one_line(trained, tmp_path, change, message):
    shutil.copytree(trained, tmp_path / "damaged", ignore=shutil.ignore_patterns("checkpoints"))
    change(tmp_path / "damaged")
    with pytest.raises(ModelError, match=message) as error:
        load_reward_model(tmp_path / "damaged")
    assert "\n" not in str(error.value)


def test_too_few_prompts_and_too_long_pairs(tiny_models, tmp_path):
    with pytest.raises(InputError, match="1 prompts with a pair; expected at least 2"):
        train(tiny_models["gpt2"], tmp_path / "out", PAIRS[:2])
    long = [replace(pair, chosen=pair.chosen * 200) for pair in PAIRS]
    with pytest.raises(InputError, match=r"0 prompts to train on and 0 to measure by fit into 128 tokens"):
        train(tiny_models["gpt2"], tmp_path / "out", long)


def test_a_base_in_a_relative_folder_is_found_from_elsewhere(tiny_models, tmp_path, monkeypatch):
    shutil.copytree(tiny_models["gpt2"], tmp_path / "base")
    monkeypatch.chdir(tmp_path)
    train(Path("base"), Path("out"), max_steps=1)
    monkeypatch.chdir(tmp_path.parent)
    assert load_reward_model(tmp_path / "out").score([prompt(0)], ["惠能0"]).shape == (1,)


def test_a_folder_with_other_things_is_left_alone(tiny_models, tmp_path):
    (tmp_path / "mine.txt").write_text("weeks of work")
    with pytest.raises(StorageError, match=r"without a record\.json; it is left as it is"):
        train(tiny_models["gpt2"], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_no_model_cannot_be_trained(tmp_path):
    with pytest.raises(ModelError, match=r"^model 'none': training needs a model"):
        train(Path("none"), tmp_path / "out")
