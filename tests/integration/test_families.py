"""Models of every family: what is read from them, what is refused, and what a plan says of them beforehand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the extra [models]")

from cli.training import sft  # noqa: E402 - after the check for torch
from finetune.config import SFTConfig  # noqa: E402 - after the check for torch
from finetune.families import PRESETS, ModelFacts  # noqa: E402
from finetune.models import lora_targets, merge_adapter, open_trainable, save_adapter, with_new_adapter  # noqa: E402
from finetune.plan import plan_lines, plan_training  # noqa: E402
from kb_index.errors import ModelError, StorageError  # noqa: E402
from kbqa_agent.causal_models import fast_dtype, load_model  # noqa: E402
from kbqa_agent.generation import load_generator  # noqa: E402
from kbqa_agent.tokenizing import encode_answer  # noqa: E402

PAIRS = [("问：《坛经》是谁写的？\n答：", "惠能"), ("【武汉】\n国家：中国\n问：武汉在哪个国家？\n答：", "中国")]


def config_for(model: Path | str, **settings) -> SFTConfig:
    return SFTConfig(Path("rows.json"), Path("out"), model=str(model), rank=4, **settings)


def plan_of(model: Path | str, dtype=torch.float32, **settings):
    return plan_training(config_for(model, **settings), [(pair,) for pair in PAIRS], dtype=dtype)


@pytest.fixture
def adapter(tiny_models, tmp_path):
    """An adapter for the tiny LLaMA that changes its answers."""
    network, _ = load_model(tiny_models["llama"], dtype=torch.float32)
    tuned = with_new_adapter(network, config_for(tiny_models["llama"]))
    torch.manual_seed(1)
    for name, parameter in tuned.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.2)
    save_adapter(tuned, tmp_path / "adapter", str(tiny_models["llama"]))
    return tmp_path / "adapter"


@pytest.mark.parametrize(
    ("family", "facts"),
    [
        ("gpt2", ("GPT2LMHeadModel", 256, "<|im_end|>", "<|im_end|>")),
        ("opt", ("OPTForCausalLM", 256, "<|im_end|>", "")),
        ("llama", ("LlamaForCausalLM", 256, "<|im_end|>", "<|im_end|>")),
    ],
)
def test_end_token_and_context_are_read_from_the_model(tiny_models, family, facts):
    found = plan_of(tiny_models[family]).facts
    assert found == ModelFacts(*facts, n_tokens=found.n_tokens)
    _, tokenizer = load_model(tiny_models[family])
    assert encode_answer(tokenizer, "")[-1] == 1


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        ("gpt2", ["attn.c_attn", "attn.c_proj"]),
        ("opt", ["self_attn.k_proj", "self_attn.out_proj", "self_attn.q_proj", "self_attn.v_proj"]),
        ("llama", ["self_attn.k_proj", "self_attn.o_proj", "self_attn.q_proj", "self_attn.v_proj"]),
    ],
)
def test_lora_on_attention_leaves_the_rest_alone(tiny_models, family, expected):
    network, _ = load_model(tiny_models[family])
    assert lora_targets(network, "attention")[0] == expected
    tuned, _ = open_trainable(config_for(tiny_models[family], lora_on="attention"))
    trained = [name for name, parameter in tuned.named_parameters() if parameter.requires_grad]
    assert trained
    assert all("attn." in name for name in trained)


def test_the_command_line_knows_every_preset():
    (option,) = (option for option in sft.params if option.name == "preset")
    assert list(option.type.choices) == list(PRESETS)


def test_presets_are_settings_that_a_training_takes():
    for preset in PRESETS.values():
        config = SFTConfig(Path("rows.json"), Path("out"), model=preset.model, **preset.settings)
        assert config.rows_per_step % (4 * config.rows_at_once) == 0, "four processes share a step"


@pytest.mark.parametrize("settings", [{}, {"lora_on": "attention"}, {"full": True}])
def test_a_plan_counts_the_parameters_that_the_real_model_has(tiny_model, settings):
    plan = plan_of(tiny_model, **settings)
    real, _ = open_trainable(config_for(tiny_model, **settings))
    parameters = list(real.parameters())
    trained = sum(p.numel() for p in parameters if p.requires_grad)
    assert (plan.n_parameters, plan.n_trainable) == (sum(p.numel() for p in parameters), trained)
    assert plan.gradients == 4 * trained
    assert plan.optimizer == 8 * trained
    assert plan.cached == 2 * 2 * 32 * 4  # key and value, 2 layers, 32 numbers of 4 bytes, in LLaMA for 2 of 4 heads
    assert plan.weights == 4 * plan.n_parameters


def test_a_plan_counts_what_a_forward_pass_keeps(tiny_model):
    kept: dict[int, object] = {}
    network, _ = load_model(tiny_model, dtype=torch.float32)
    own = {p.untyped_storage()._cdata for p in (*network.parameters(), *network.buffers())}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            kept[storage._cdata] = storage
        return tensor

    plan = plan_of(tiny_model, full=True)
    ids = torch.zeros((8, plan.longest), dtype=torch.long)
    sees = torch.ones((8, 1, plan.longest, plan.longest), dtype=torch.bool).tril()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        network.train().base_model(
            input_ids=ids,
            attention_mask=sees,
            position_ids=torch.arange(plan.longest)[None].expand(8, -1),
            use_cache=False,
        )
    assert plan.activations == pytest.approx(sum(storage.nbytes() for storage in kept.values()), rel=0.15)


def test_a_plan_counts_rows_and_tokens_and_scales_a_sample(tiny_models):
    _, tokenizer = load_model(tiny_models["llama"])
    prompt, answer = "【武汉】\n国家：中国\n人口：1232万\n问：武汉在哪个国家？\n答：", "中国"
    short = config_for(tiny_models["llama"], max_tokens=len(tokenizer(prompt + answer)["input_ids"]))
    plan = plan_training(short, [((prompt, answer),), (PAIRS[0],), (("问：" + "长" * 99 + "？\n答：", "中国"),)])
    assert (plan.n_rows, plan.n_validation, plan.n_cut, plan.n_dropped) == (1, 1, 1, 1)
    whole = plan_of(tiny_models["llama"], validation_share=0.0)
    assert whole.n_tokens == sum(len(tokenizer(p + a)["input_ids"]) + 1 for p, a in PAIRS)
    sampled = plan_training(config_for(tiny_models["llama"]), [(pair,) for pair in PAIRS], n_rows=1000)
    assert (sampled.n_rows, sampled.n_validation, sampled.steps) == (950, 50, 119)
    assert sampled.n_tokens == 475 * whole.n_tokens


def test_a_plan_is_read_by_people(tiny_models):
    text = "\n".join(plan_lines(plan_of(tiny_models["opt"])))
    assert "padding token: none, and none is needed" in text
    assert re.search(r"parameters +[\d,]+, of which [\d,]+ \(\d+\.\d\d%\) are trained", text)
    assert re.search(r"memory .* GiB a process, computing in float32: weights [\d.]+, gradients", text)


def test_half_precision_and_checkpointing_shrink_a_plan(tiny_models):
    plain = plan_of(tiny_models["llama"])
    half = plan_of(tiny_models["llama"], dtype=torch.bfloat16)
    sparing = plan_of(tiny_models["llama"], gradient_checkpointing=True)
    assert half.weights < plain.weights
    assert half.activations < plain.activations
    assert sparing.activations < plain.activations


@pytest.mark.parametrize(("computes", "expected"), [(True, torch.bfloat16), (False, torch.float32)])
def test_a_gpu_that_only_emulates_bfloat16_gets_float32(monkeypatch, computes, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation or computes
    )
    assert fast_dtype() is expected


def test_weights_of_four_bits_need_a_gpu(tiny_models):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(ModelError, match="4 bits need a CUDA GPU, and there is none here; leave --four-bit out"):
        open_trainable(config_for(tiny_models["llama"], four_bit=True))


@pytest.mark.parametrize("kind", ["masked", "classifier"])
def test_a_model_without_a_causal_head_is_refused(tiny_models, tmp_path, kind):
    from transformers import AutoTokenizer, BertConfig, BertForMaskedLM, LlamaConfig, LlamaForSequenceClassification

    sizes = {"vocab_size": 400, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    if kind == "masked":
        model = BertForMaskedLM(BertConfig(**sizes, intermediate_size=16))
    else:
        model = LlamaForSequenceClassification(LlamaConfig(**sizes, intermediate_size=16, pad_token_id=1))
    model.save_pretrained(tmp_path / "model")
    AutoTokenizer.from_pretrained(tiny_models["llama"]).save_pretrained(tmp_path / "model")
    with pytest.raises(ModelError, match="is no causal language model") as error:
        load_model(tmp_path / "model")
    assert "\n" not in str(error.value)
    assert ("it fills gaps in text" if kind == "masked" else "lack lm_head.weight") in str(error.value)


def test_an_adapter_for_another_base_is_refused(tiny_models, adapter):
    with pytest.raises(ModelError, match=r"adapter .*model"):
        open_trainable(config_for(tiny_models["gpt2"], adapter=adapter))


def test_a_merged_model_answers_as_the_adapter_does(tiny_models, adapter, tmp_path):
    merge_adapter(str(tiny_models["llama"]), adapter, tmp_path / "merged")
    answers = ["惠能", "中国", "唐"]
    folders = (tiny_models["llama"], tiny_models["llama"], tmp_path / "merged")
    bare, tuned, merged = (load_model(folder, dtype=torch.float32)[0].eval() for folder in folders)
    from kbqa_agent.causal_models import with_adapter
    from kbqa_agent.scoring import score_answers

    tuned = with_adapter(tuned, adapter).eval()
    tokenizer = load_model(tmp_path / "merged")[1]
    plain, with_it, whole = (score_answers(model, tokenizer, PAIRS[0][0], answers) for model in (bare, tuned, merged))
    assert whole == pytest.approx(with_it, abs=1e-4)
    assert abs(whole - plain).max() > 0.01
    assert load_generator(tmp_path / "merged").score(PAIRS[0][0], answers).shape == (3,)


def test_a_merged_model_does_not_replace_other_files(tiny_models, adapter, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("weeks of work")
    with pytest.raises(StorageError, match=r"without a config\.json; it is left as it is"):
        merge_adapter(str(tiny_models["llama"]), adapter, tmp_path / "mine")
