"""Fine-tuning of real, tiny models: what moves, what does not, what is written, and going on where it stopped."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the extra [models]")

from finetune import sft  # noqa: E402 - after the check for torch
from finetune.config import SFTConfig  # noqa: E402
from finetune.data import RowOptions, collate, encode_rows, split_validation  # noqa: E402
from finetune.models import linear_layers, open_trainable  # noqa: E402
from finetune.questions import training_rows  # noqa: E402
from finetune.trainer import answer_loss  # noqa: E402
from kb_index.errors import InputError, ModelError, QuestionFileError, StorageError  # noqa: E402
from kbqa_agent.causal_models import load_model  # noqa: E402
from kbqa_agent.generation import load_generator  # noqa: E402
from kbqa_agent.text2text import read_text2text, write_text2text  # noqa: E402

ROWS = [
    (f"【{name}】\n作者：{author}\n问：《{name}》是谁写的？\n答：", author)
    for name in ("坛经", "高等数学", "武汉", "面积")
    for author in ("惠能", "同济大学", "唐", "中国", "人口")
]


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rows") / "rows.json"
    write_text2text(ROWS, path)
    return path


def config_for(model: Path, rows: Path, out: Path, **settings) -> SFTConfig:
    base = SFTConfig(
        data=rows, out=out, model=str(model), rank=4, alpha=8, max_steps=6, max_tokens=128, validation_share=0.1
    )
    return replace(base, learning_rate=1e-2, **settings)


def metrics(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize(
    ("architecture", "expected", "transposed"),
    [
        ("gpt2", ["c_attn", "c_fc", "c_proj"], True),
        ("opt", ["fc1", "fc2", "k_proj", "out_proj", "q_proj", "v_proj"], False),
        ("llama", ["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"], False),
    ],
)
def test_lora_goes_to_all_linear_layers_but_the_head(tiny_models, architecture, expected, transposed):
    model, _ = load_model(tiny_models[architecture])
    assert linear_layers(model) == (expected, transposed)


def test_a_training_lowers_the_loss_and_its_adapter_opens(tiny_model, rows, tmp_path):
    result = sft.run(config_for(tiny_model, rows, tmp_path / "out", max_steps=30), progress=False)
    assert result.steps == 30
    assert result.n_rows == 18
    assert result.loss_before is not None
    assert result.loss_after is not None
    assert result.loss_after < result.loss_before
    assert {path.name for path in result.out.iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
        "checkpoints",
        "loss.png",
        "metrics.jsonl",
        "record.json",
    }
    prompt, answer = ROWS[0]
    plain, tuned = load_generator(tiny_model), load_generator(tiny_model, result.out)
    assert (plain.adapter, tuned.adapter) == (None, str(result.out))
    assert tuned.score(prompt, [answer])[0] > plain.score(prompt, [answer])[0] + 0.1


def test_the_adapter_is_in_half_precision_and_names_its_model(tiny_models, rows, tmp_path):
    from safetensors.torch import load_file

    sft.run(config_for(tiny_models["llama"], rows, tmp_path, max_steps=1), progress=False)
    tensors = load_file(tmp_path / "adapter_model.safetensors")
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}
    settings = json.loads((tmp_path / "adapter_config.json").read_text(encoding="utf-8"))
    assert settings["base_model_name_or_path"] == str(tiny_models["llama"])
    assert (settings["r"], settings["lora_alpha"], settings["inference_mode"]) == (4, 8, True)


def test_every_trainable_parameter_moves_and_no_other(tiny_model, rows, tmp_path, monkeypatch):
    seen = {}

    def remember(config):
        model, tokenizer = open_trainable(config)
        seen["model"] = model
        seen["before"] = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
        return model, tokenizer

    monkeypatch.setattr(sft, "open_trainable", remember)
    sft.run(config_for(tiny_model, rows, tmp_path), progress=False)
    n_trainable = 0
    for name, parameter in seen["model"].named_parameters():
        moved = not torch.equal(parameter, seen["before"][name])
        assert moved == parameter.requires_grad, name
        assert ("lora_" in name) == parameter.requires_grad, name
        n_trainable += parameter.requires_grad
    assert n_trainable > 0


def test_full_fine_tuning_writes_a_model_that_learnt_to_answer_and_stop(tiny_models, rows, tmp_path):
    config = config_for(tiny_models["llama"], rows, tmp_path / "full", full=True, max_steps=80, validation_share=0.0)
    result = sft.run(replace(config, learning_rate=5e-3), progress=False)
    assert (result.loss_before, result.loss_after) == (None, None)
    prompts, answers = zip(*ROWS, strict=True)
    assert load_generator(tmp_path / "full").generate(prompts, max_new_tokens=12) == list(answers)


def test_an_adapter_can_be_trained_further(tiny_models, rows, tmp_path):
    first = sft.run(config_for(tiny_models["gpt2"], rows, tmp_path / "a"), progress=False)
    second = sft.run(config_for(tiny_models["gpt2"], rows, tmp_path / "b", adapter=tmp_path / "a"), progress=False)
    assert second.loss_before == pytest.approx(first.loss_after, rel=0.02)


def test_the_loss_over_the_head_equals_the_models_own(tiny_model):
    model, tokenizer = load_model(tiny_model, dtype=torch.float32)
    batch = collate(encode_rows(tokenizer, [[ROWS[0]], [ROWS[1], ROWS[7]]], 128).rows)
    with torch.no_grad():
        short = answer_loss(model.eval(), batch, through_head=True)
        full = answer_loss(model, batch, through_head=False)
        own = model(**batch).loss * (batch["labels"] != -100).sum()
    assert short.item() == pytest.approx(full.item(), rel=1e-5)
    assert short.item() == pytest.approx(own.item(), rel=1e-5)


def test_questions_over_shared_triples_train_as_if_each_stood_alone(tiny_model):
    facts = "【坛经】\n作者：惠能\n朝代：唐"
    pairs = [
        (f"问：《坛经》的{asked}是什么？\n答：", answer)
        for asked, answer in (("作者", "惠能"), ("朝代", "唐"), ("人口", "不知道"))
    ]
    (first, answer), *more = pairs
    model, tokenizer = load_model(tiny_model, dtype=torch.float32)
    together = encode_rows(tokenizer, [[(f"{facts}\n{first}", answer), *more]], 250).rows
    alone = encode_rows(tokenizer, [[(f"{facts}\n{prompt}", answer)] for prompt, answer in pairs], 250).rows
    with torch.no_grad():
        shared = answer_loss(model.eval(), collate(together), through_head=True)
        separate = sum(answer_loss(model, collate([row]), through_head=True) for row in alone)
    assert shared.item() == pytest.approx(separate.item(), rel=1e-5)


def test_rows_in_parts_give_the_step_of_rows_together(tiny_models, rows, tmp_path, monkeypatch):
    from safetensors.torch import load_file

    monkeypatch.setattr(sft, "_computes_in_bf16", lambda: False)
    for at_once in (8, 2):
        config = config_for(tiny_models["llama"], rows, tmp_path / str(at_once), rows_at_once=at_once, full=True)
        sft.run(replace(config, max_steps=1, learning_rate=1e-3, warmup_share=0.0), progress=False)
    together, in_parts = (load_file(tmp_path / str(n) / "model.safetensors") for n in (8, 2))
    start = load_file(tiny_models["llama"] / "model.safetensors")
    for name, tensor in together.items():
        # The first step of Adam is the sign of the gradient, and the smallest gradients may round to another sign.
        same = ((tensor - in_parts[name]).abs() < 1e-4).float().mean()
        assert same > 0.99, name
        assert (tensor - start[name]).abs().max() > 5e-4, name


def test_metrics_hold_loss_rate_tokens_and_seconds(tiny_models, rows, tmp_path):
    sft.run(config_for(tiny_models["opt"], rows, tmp_path, log_every=2, validate_every=3), progress=False)
    lines = metrics(tmp_path)
    assert [line["step"] for line in lines if "loss" in line] == [1, 2, 4, 6]
    assert [line["step"] for line in lines if "validation_loss" in line] == [0, 3, 6]
    assert all({"learning_rate", "tokens", "seconds"} <= line.keys() for line in lines if "loss" in line)
    assert lines[-1]["tokens"] > 6 * 8 * 10


@pytest.mark.parametrize("at_once", [1, 3, 8])
def test_validation_is_the_mean_of_all_its_tokens(tiny_models, tmp_path, monkeypatch, at_once):
    """Answers of 1 to 9 characters: a mean of batches would be another number for each size of batch."""
    monkeypatch.setattr(sft, "_computes_in_bf16", lambda: False)
    pairs = [(f"问：{n}？\n答：", "惠" * (1 + n % 9)) for n in range(20)]
    write_text2text(pairs, tmp_path / "rows.json")
    config = config_for(tiny_models["llama"], tmp_path / "rows.json", tmp_path / "out", max_steps=1)
    settings = {"validation_share": 0.5, "rows_per_step": at_once, "rows_at_once": at_once, "full": True}
    result = sft.run(replace(config, **settings), progress=False)
    model, tokenizer = load_model(tiny_models["llama"], dtype=torch.float32)
    rows = encode_rows(tokenizer, [(pair,) for pair in pairs], 128).rows
    _, validation = split_validation(rows, 0.5, 200, 0)
    with torch.no_grad():
        nats = answer_loss(model.eval(), collate(validation), through_head=False).item()
    assert result.loss_before == pytest.approx(nats / sum(label != -100 for r in validation for label in r.labels))


def test_the_record_says_what_was_done(tiny_models, rows, tmp_path):
    sft.run(config_for(tiny_models["opt"], rows, tmp_path, max_steps=2), progress=False)
    record = json.loads((tmp_path / "record.json").read_text(encoding="utf-8"))
    assert record["config"]["max_steps"] == 2
    assert record["config"]["data"] == str(rows)
    assert len(record["rows_sha256"]) == 64
    assert record["versions"]["torch"] == torch.__version__
    assert record["result"]["steps"] == 2


def test_a_resumed_training_ends_where_an_unbroken_one_does(tiny_models, rows, tmp_path, monkeypatch):
    from safetensors.torch import load_file

    from finetune import trainer

    config = config_for(tiny_models["llama"], rows, tmp_path / "whole", save_every=2, validate_every=2, log_every=1)
    whole = sft.run(config, progress=False)

    class Killed(Exception):
        pass

    def die(self, args, state, control, **kwargs):
        if state.global_step == 5:
            raise Killed

    broken = replace(config, out=tmp_path / "broken")
    with monkeypatch.context() as patch:
        patch.setattr(trainer.MetricsFile, "on_step_begin", die, raising=False)
        with pytest.raises(Killed):
            sft.run(broken, progress=False)
    assert not (tmp_path / "broken" / "adapter_config.json").exists()
    resumed = sft.run(replace(broken, resume=True), progress=False)
    assert resumed.loss_after == pytest.approx(whole.loss_after, rel=1e-4)
    assert resumed.loss_before == whole.loss_before
    assert [line["step"] for line in metrics(broken.out)] == [line["step"] for line in metrics(config.out)]
    assert metrics(broken.out)[-1]["tokens"] == metrics(config.out)[-1]["tokens"]
    expected = load_file(config.out / "adapter_model.safetensors")
    for name, tensor in load_file(broken.out / "adapter_model.safetensors").items():
        torch.testing.assert_close(tensor, expected[name], atol=1e-3, rtol=1e-2)


def test_a_training_is_not_resumed_with_other_rows_or_settings(tiny_models, rows, tmp_path):
    config = config_for(tiny_models["gpt2"], rows, tmp_path / "out", max_steps=2, save_every=1)
    sft.run(config, progress=False)
    other = tmp_path / "other.json"
    write_text2text(ROWS[:10], other)
    with pytest.raises(InputError, match="resumed with other seed, rows than it was begun with"):
        sft.run(replace(config, data=other, seed=5, resume=True), progress=False)
    schedule = {"max_steps": 9, "epochs": 2.0, "warmup_share": 0.5, "max_grad_norm": 3.0}
    with pytest.raises(InputError, match="resumed with other max_steps, epochs, warmup_share, max_grad_norm than"):
        sft.run(replace(config, resume=True, **schedule), progress=False)


def test_resume_without_a_checkpoint_begins(tiny_models, rows, tmp_path):
    result = sft.run(config_for(tiny_models["gpt2"], rows, tmp_path / "new", max_steps=1, resume=True), progress=False)
    assert result.steps == 1


def test_a_training_killed_while_it_wrote_a_checkpoint_resumes_from_the_one_before(tiny_models, rows, tmp_path):
    config = config_for(tiny_models["gpt2"], rows, tmp_path, max_steps=4, save_every=2, log_every=1)
    sft.run(config, progress=False)
    (tmp_path / "checkpoints" / "checkpoint-4" / "trainer_state.json").write_text('{"global_step": 4, "log')
    with (tmp_path / "metrics.jsonl").open("a", encoding="utf-8") as stream:
        stream.write('{"step": 4, "lo')
    result = sft.run(replace(config, resume=True), progress=False)
    assert result.steps == 4
    assert [line["step"] for line in metrics(tmp_path) if "loss" in line] == [1, 2, 3, 4]


def test_a_training_killed_before_its_first_checkpoint_begins_anew(tiny_models, rows, tmp_path):
    config = config_for(tiny_models["gpt2"], rows, tmp_path, max_steps=2, log_every=1)
    sft.run(config, progress=False)
    (tmp_path / "checkpoints" / "checkpoint-2" / "trainer_state.json").unlink()
    sft.run(replace(config, resume=True), progress=False)
    assert [line["step"] for line in metrics(tmp_path) if "loss" in line] == [1, 2]


@pytest.mark.parametrize("content", ['{"config": ', "[]", '{"config": {}}'])
def test_a_damaged_record_is_named_in_one_line(tiny_models, rows, tmp_path, content):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "record.json").write_text(content)
    with pytest.raises(InputError, match=r"record\.json: damaged; .* begin anew without --resume$") as error:
        sft.run(config_for(tiny_models["gpt2"], rows, tmp_path, resume=True), progress=False)
    assert "\n" not in str(error.value)


def test_no_model_cannot_be_trained(rows, tmp_path):
    with pytest.raises(ModelError, match=r"^model 'none': training needs a model"):
        sft.run(config_for(Path("none"), rows, tmp_path / "out"), progress=False)


def test_rows_that_do_not_fit_are_counted(tiny_models, tmp_path):
    path = tmp_path / "rows.json"
    long = "\n".join(["【坛经】", *(f"属性{i}：值{i}" for i in range(60)), "问：谁？\n答："])
    write_text2text([*ROWS[:4], (long, "惠能"), ("问：谁？\n答：", "字" * 500)], path)
    result = sft.run(config_for(tiny_models["llama"], path, tmp_path / "out", max_steps=1), progress=False)
    assert (result.n_cut, result.n_dropped) == (1, 1)


def test_standard_output_stays_clean(tiny_models, rows, tmp_path, capfd):
    sft.run(config_for(tiny_models["gpt2"], rows, tmp_path, max_steps=2), progress=True)
    assert capfd.readouterr().out == ""


def test_rows_are_read_back_as_they_were_written(rows):
    assert read_text2text(rows) == ROWS


def test_too_few_rows(tiny_models, tmp_path):
    path = tmp_path / "rows.json"
    write_text2text(ROWS[:1], path)
    with pytest.raises(InputError, match="1 usable rows; expected at least 2"):
        sft.run(config_for(tiny_models["gpt2"], path, tmp_path / "out"), progress=False)


def test_rows_that_are_missing(tiny_models, tmp_path):
    with pytest.raises(QuestionFileError):
        sft.run(config_for(tiny_models["gpt2"], tmp_path / "none.json", tmp_path / "out"), progress=False)


def test_an_adapter_for_another_model_is_named_also_when_it_is_the_shipped_one(tiny_models, rows, tmp_path):
    config = config_for(tiny_models["gpt2"], rows, tmp_path / "out", adapter=Path("shipped"))
    with pytest.raises(ModelError, match=r"data/adapter': (was made for another|does not fit this) model"):
        sft.run(config, progress=False)


def test_a_model_that_is_missing(rows, tmp_path):
    with pytest.raises(ModelError, match="no such folder"):
        sft.run(config_for(tmp_path / "nowhere", rows, tmp_path / "out"), progress=False)


def test_an_adapter_that_is_missing(tiny_models, rows, tmp_path):
    config = config_for(tiny_models["gpt2"], rows, tmp_path / "out", adapter=tmp_path / "none")
    with pytest.raises(ModelError, match=r"has no adapter_config\.json"):
        sft.run(config, progress=False)


def test_a_folder_with_other_things_is_left_alone(tiny_models, rows, tmp_path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "mine.pt").write_text("weeks of work")
    with pytest.raises(StorageError, match=r"without a record\.json; it is left as it is, choose another --out"):
        sft.run(config_for(tiny_models["gpt2"], rows, tmp_path), progress=False)
    with pytest.raises(StorageError, match=r"without a record\.json"):
        training_rows(rows, tmp_path / "rows.json", None, RowOptions())
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoints"]
    assert (tmp_path / "checkpoints" / "mine.pt").read_text() == "weeks of work"


def test_rows_may_lie_in_the_folder_and_a_new_training_replaces_the_old_one(tiny_models, tmp_path):
    write_text2text(ROWS, tmp_path / "rows.json")
    config = config_for(tiny_models["gpt2"], tmp_path / "rows.json", tmp_path, max_steps=2, save_every=1)
    sft.run(config, progress=False)
    sft.run(replace(config, max_steps=1), progress=False)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["checkpoint-1"]


def test_a_place_that_cannot_be_written(tiny_models, rows, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        sft.run(config_for(tiny_models["gpt2"], rows, tmp_path / "file" / "out"), progress=False)
