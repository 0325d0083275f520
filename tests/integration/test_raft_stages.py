"""The stages of RAFT on disk, with generators whose skill is a number: resumed after kills, stopped, the best kept."""

from __future__ import annotations

import json
import random
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from finetune import raft
from finetune.raft_config import RaftConfig
from finetune.raft_tools import Tools
from kb_index import build_index
from kb_index.errors import InputError, StorageError, TrainingError
from kbqa_agent.qa_data import write_nlpcc
from kbqa_agent.sampling import Sampled
from kbqa_agent.text2text import write_text2text
from kbqa_agent.types import QAExample


class Killed(BaseException):
    pass


def gold_of(prompt: str) -> str:
    return prompt.split("作者：")[1].split("\n", maxsplit=1)[0]


@dataclass
class Machine:
    """Generators, trainings and a judge of made-up skill, which stop at call number `dies_at`.

    A generator's skill is the probability of a right sample. A training writes its adapter's skill with `learns`.
    """

    learns: dict[int, float] = field(default_factory=dict)
    dies_at: int = -1
    calls: list[str] = field(default_factory=list)

    def call(self, name: str) -> None:
        if len(self.calls) == self.dies_at:
            raise Killed
        self.calls.append(name)

    def tools(self, judge: bool = False) -> Tools:
        return Tools(lambda adapter: Fake(self, adapter), self.train, (lambda: Judge(self)) if judge else None)

    def train(self, config, conversations) -> None:
        self.call("train")
        skill = read_skill(config.adapter) + 0.01 * len(conversations)
        stage = config.seed % 1000
        write_adapter(config.out, self.learns.get(stage, skill))
        (config.out / "checkpoints").mkdir()
        self.call("trained")


class Fake:
    def __init__(self, machine: Machine, adapter: Path) -> None:
        machine.call(f"open {adapter.parent.name}")
        self.name, self.machine, self.skill = "fake", machine, read_skill(adapter)

    def sample(self, prompts, k, *, temperature, top_p, max_new_tokens, seed):
        self.machine.call("sample")
        chance = random.Random
        drawn = [[chance(f"{seed} {p} {i}").random() < self.skill for i in range(k)] for p in prompts]
        return [
            [Sampled(gold_of(p) if right else f"错{i}", -1.0, 2) for i, right in enumerate(rights)]
            for p, rights in zip(prompts, drawn, strict=True)
        ]

    def generate(self, prompts, max_new_tokens=48):
        self.machine.call("generate")
        return [gold_of(p) if random.Random(p).random() < self.skill else "不知道" for p in prompts]

    def score(self, prompt, answers):
        self.machine.call("score")
        return np.array([-len(a) * (2 - self.skill) for a in answers], np.float32)


class Judge:
    def __init__(self, machine: Machine) -> None:
        machine.call("open judge")

    def score(self, prompts, answers):
        return np.array([3.0 if a.startswith("错") else -3.0 for a in answers], np.float32)


def write_adapter(folder: Path, skill: float) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "adapter_model.safetensors").write_text(json.dumps(round(skill, 4)))
    (folder / "adapter_config.json").write_text("{}")


def read_skill(folder: Path) -> float:
    return float((folder / "adapter_model.safetensors").read_text())


@pytest.fixture(autouse=True)
def without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raft, "draw_if_possible", lambda folders, out: None)


@pytest.fixture
def config(tmp_path: Path) -> RaftConfig:
    rows = [(f"【书{i}】\n作者：人{i}\n语言：中文\n问：书{i}是谁写的？\n答：", f"人{i}") for i in range(40)]
    write_text2text(rows, tmp_path / "rows.json")
    write_adapter(tmp_path / "start", 0.4)
    return RaftConfig(
        questions=tmp_path / "rows.json",
        out=tmp_path / "out",
        model="fake",
        adapter=tmp_path / "start",
        stages=2,
        batch=12,
        samples=4,
        held_out_questions=8,
        replay_share=0.2,
    )


def align(config: RaftConfig, machine: Machine | None = None, judge: bool = False) -> raft.RaftResult:
    return raft.run(config, progress=False, tools=(machine or Machine()).tools(judge))


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def state(out: Path) -> dict[str, object]:
    """All that a training leaves, but for how long it took and how it was called."""
    left: dict[str, object] = {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.is_file()}
    del left["record.json"]
    for name in [n for n in left if n.endswith("metrics.json")]:
        left[name] = {k: v for k, v in json.loads(left[name]).items() if k != "seconds"}
    left["metrics.jsonl"] = [{k: v for k, v in line.items() if k != "seconds"} for line in lines(out / "metrics.jsonl")]
    return left


def test_each_stage_leaves_what_it_drew_rewarded_kept_trained_and_measured(config: RaftConfig) -> None:
    result = align(config)
    stage = config.out / "stages" / "1"
    assert {path.name for path in stage.iterdir()} == {
        *("samples.jsonl", "rewards.jsonl", "kept.jsonl", "adapter", "held_out.jsonl", "metrics.json")
    }
    assert {path.name for path in (stage / "adapter").iterdir()} == {"adapter_config.json", "adapter_model.safetensors"}
    samples, rewards, kept = (lines(stage / f"{name}.jsonl") for name in ("samples", "rewards", "kept"))
    assert (len(samples), len(samples[0]["samples"]), len(rewards)) == (12, 4, 12)
    chosen = [row for row in kept if row["reward"] is not None]
    assert chosen
    assert all(row["reward"] == 1.0 and row["answer"] == gold_of(row["prompt"]) for row in chosen)
    both = {row["id"] for row in rewards if 1.0 in row["rule"] and set(row["rule"]) != {1.0}}
    assert [row["id"] for row in chosen] == [row["id"] for row in samples if row["id"] in both]
    replayed = [row for row in kept if row["reward"] is None]
    assert len(replayed) == round(len(chosen) * 0.25)
    assert not {row["id"] for row in replayed} & {row["id"] for row in chosen}
    held_out = {row["prompt"] for row in lines(stage / "held_out.jsonl")}
    assert len(held_out) == 8
    assert not held_out & {row["prompt"] for row in [*samples, *kept]}
    assert [row["stage"] for row in result.stages] == [0, 1, 2]
    assert result.stages[1]["kept"] == len(chosen)


def test_metrics_say_what_each_stage_was_like(config: RaftConfig) -> None:
    align(config)
    start, first, second = lines(config.out / "metrics.jsonl")
    held_out = {"stage", "f1", "exact_match", "held_out_reward", "perplexity", "seconds"}
    assert set(start) == held_out
    of_samples = {"reward", "best_reward", "right", "undecided", "kept", "replayed"}
    assert set(first) == held_out | of_samples | {"kl", "distinct_1", "distinct_2", "tokens", "commonest_token"}
    assert first["kl"] == 0.0  # the first stage samples from the reference
    assert second["kl"] > 0.0
    assert first["tokens"] == 2.0
    rewards = lines(config.out / "stages" / "1" / "rewards.jsonl")
    assert first["reward"] == pytest.approx(np.mean([row["rule"] for row in rewards]))
    assert first["best_reward"] == pytest.approx(np.mean([max(row["rule"]) for row in rewards]))


def test_a_training_killed_anywhere_ends_as_one_that_was_not(config: RaftConfig, tmp_path: Path) -> None:
    whole = Machine()
    align(config, whole)
    expected = state(config.out)
    by_kind = {name: [i for i, call in enumerate(whole.calls) if call == name] for name in set(whole.calls)}
    moments = sorted({i for places in by_kind.values() for i in {places[0], places[len(places) // 2], places[-1]}})
    assert len(moments) > 12
    for moment in moments:
        out = tmp_path / f"killed-{moment}"
        with pytest.raises(Killed):
            align(replace(config, out=out), Machine(dies_at=moment))
        align(replace(config, out=out, resume=True))
        assert state(out) == expected, (moment, whole.calls[moment])


def test_a_training_killed_again_and_again_gets_there(config: RaftConfig, tmp_path: Path) -> None:
    align(config)
    broken = replace(config, out=tmp_path / "broken", resume=True)
    kills = 0
    while True:
        try:
            align(broken, Machine(dies_at=14))
            break
        except Killed:
            kills += 1
    assert kills > 3
    assert state(broken.out) == state(config.out)


def test_finished_steps_are_not_done_again(config: RaftConfig) -> None:
    align(config)
    machine = Machine()
    more = align(replace(config, stages=3, resume=True), machine)
    assert machine.calls.count("train") == 1
    assert [row["stage"] for row in more.stages] == [0, 1, 2, 3]
    machine = Machine()
    align(replace(config, stages=3, resume=True), machine)
    assert machine.calls == []


def test_a_training_is_not_resumed_with_other_settings(config: RaftConfig) -> None:
    align(config)
    with pytest.raises(InputError, match="resumed with other samples, temperature, seed than it was begun with"):
        align(replace(config, samples=5, temperature=0.5, seed=3, resume=True))
    write_text2text([("问：一？\n答：", "二")] * 9, config.questions)
    with pytest.raises(InputError, match="resumed with other questions' file"):
        align(replace(config, resume=True))


def test_a_training_is_not_resumed_with_another_start_index_or_reward_model(config: RaftConfig, tmp_path: Path) -> None:
    write_adapter(tmp_path / "judge", 0.0)
    (tmp_path / "index").mkdir()
    (tmp_path / "index" / "manifest.json").write_text("{}")
    whole = replace(config, stages=1, reward_model=tmp_path / "judge", index=tmp_path / "index", closed_book=True)
    align(whole, judge=True)
    align(replace(whole, resume=True), judge=True)
    for path, called in (("start", "start adapter"), ("judge", "reward model")):
        before = (tmp_path / path / "adapter_model.safetensors").read_text()
        write_adapter(tmp_path / path, 0.7)
        with pytest.raises(InputError, match=f"resumed with other {called} than it was begun with"):
            align(replace(whole, resume=True), judge=True)
        (tmp_path / path / "adapter_model.safetensors").write_text(before)
    (tmp_path / "index" / "manifest.json").write_text('{"n": 1}')
    with pytest.raises(InputError, match="resumed with other index than it was begun with"):
        align(replace(whole, resume=True), judge=True)


def test_processes_that_cannot_share_a_step_are_told_so_before_anything_is_written(config, monkeypatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match=r"^rows_per_step=8: expected a multiple of rows_at_once=8 times 2 processes"):
        align(config)
    assert not config.out.exists()


def test_full_memory_names_the_setting_to_lower(config: RaftConfig, monkeypatch) -> None:
    def full(*_, **__):
        raise MemoryError

    monkeypatch.setattr(Fake, "sample", full)
    with pytest.raises(
        TrainingError, match=r"^out of memory; lower --samples \(now 4\) or --max-new-tokens \(now 128\)"
    ):
        align(config)


def test_replay_teaches_what_the_prompt_holds(config: RaftConfig) -> None:
    """Of several gold answers the first is not in the prompts."""
    facts = [f"书{i} ||| 作者 ||| 人{i}" for i in range(40)]
    (config.out.parent / "facts.kb").write_text("\n".join(facts) + "\n", encoding="utf-8")
    build_index([config.out.parent / "facts.kb"], config.out.parent / "index", progress=False)
    examples = [QAExample(str(i), f"书{i}的作者是谁？", (f"别名{i}", f"人{i}")) for i in range(40)]
    write_nlpcc(examples, config.questions.with_suffix(".nlpcc"))
    asked = replace(config, questions=config.questions.with_suffix(".nlpcc"), index=config.out.parent / "index")
    align(replace(asked, stages=1, replay_share=0.5))
    replayed = [row for row in lines(config.out / "stages" / "1" / "kept.jsonl") if row["reward"] is None]
    assert replayed
    assert all(f"作者：{row['answer']}\n" in row["prompt"] or row["answer"] == "不知道" for row in replayed)
    targets = {row["target"] for row in lines(config.out / "stages" / "0" / "held_out.jsonl")}
    assert not any(target.startswith("别名") for target in targets)


def test_without_resume_it_begins_anew(config: RaftConfig) -> None:
    align(replace(config, stages=3))
    align(replace(config, seed=1))
    assert sorted(path.name for path in (config.out / "stages").iterdir()) == ["0", "1", "2"]


def test_the_best_stage_is_kept_and_not_the_last(config: RaftConfig) -> None:
    result = align(replace(config, stages=3, alarm_stages=0), Machine(learns={1: 0.5, 2: 0.9, 3: 0.1}))
    assert result.best == 2
    assert read_skill(config.out) == 0.9
    f1 = [row["f1"] for row in result.stages]
    assert f1[2] == max(f1) > f1[3]
    assert json.loads((config.out / "record.json").read_text(encoding="utf-8"))["result"]["best"] == 2


def test_the_start_is_given_back_where_no_stage_is_better(config: RaftConfig) -> None:
    result = align(config, Machine(learns={1: 0.0, 2: 0.0}))
    assert result.best == 0
    assert read_skill(config.out) == 0.4


def test_it_stops_when_the_reward_rises_while_held_out_f1_falls(config: RaftConfig, monkeypatch, caplog) -> None:
    """Samples become better and better, greedy answers worse and worse, as when a reward is gamed."""
    skill = {0: 0.9, 1: 0.7, 2: 0.4, 3: 0.1, 4: 0.0, 5: 0.0}
    monkeypatch.setattr(
        Fake,
        "generate",
        lambda self, prompts, n: [gold_of(p) if random.Random(p).random() < skill[self.stage] else "" for p in prompts],
    )
    opened = Fake.__init__

    def remember(self, machine, adapter):
        opened(self, machine, adapter)
        self.stage = int(adapter.parent.name) if adapter.name == "adapter" else 0

    monkeypatch.setattr(Fake, "__init__", remember)
    machine = Machine(learns={1: 0.5, 2: 0.7, 3: 0.9, 4: 1.0})
    result = align(replace(config, stages=5, skip_decided=False), machine)
    assert result.alarm
    assert result.best == 0
    assert [row["stage"] for row in result.stages] == [0, 1, 2, 3]
    assert "stopped at stage 3: the reward rises while held-out F1 falls" in caplog.text
    unwatched = align(
        replace(config, stages=4, skip_decided=False, alarm_stages=0, out=config.out / ".." / "b"),
        Machine(learns=machine.learns),
    )
    assert not unwatched.alarm
    assert len(unwatched.stages) == 5


def test_a_stage_that_keeps_nothing_leaves_the_generator_as_it_is(config: RaftConfig) -> None:
    write_adapter(config.adapter, 1.0)
    machine = Machine()
    result = align(config, machine)
    assert "train" not in machine.calls
    assert [row["kept"] for row in result.stages[1:]] == [0, 0]
    assert read_skill(config.out) == 1.0


def test_the_whole_batch_is_ranked_where_that_is_asked_for(config: RaftConfig) -> None:
    ranked = replace(config, ranking="batch", accept_one_in=5, replay_share=0.0)
    result = align(ranked)
    assert [row["kept"] for row in result.stages[1:]] == [2, 2]  # floor(12 / 5)


def test_a_reward_model_ranks_where_the_rule_has_no_weight(config: RaftConfig) -> None:
    judged = replace(config, reward_model=Path("judge"), rule_weight=0.0, replay_share=0.0)
    align(judged, judge=True)
    kept = lines(config.out / "stages" / "1" / "kept.jsonl")
    assert kept
    assert all(row["answer"].startswith("错") for row in kept)


def test_at_the_default_weight_a_reward_model_chooses_among_right_answers(config: RaftConfig, monkeypatch) -> None:
    """All samples of half of the prompts are right, in two ways; of the others, one is wrong, which the judge likes."""
    names = [f"书{i}" for i in range(40)]
    examples = [QAExample(name, f"{name}是谁写的？", (f"人{name}", f"友{name}")) for name in names]
    write_nlpcc(examples, config.questions.with_suffix(".nlpcc"))
    asked = replace(config, questions=config.questions.with_suffix(".nlpcc"), closed_book=True, replay_share=0.0)

    def sample(self, prompts, k, **options):
        found = []
        for prompt in prompts:
            name = prompt.removeprefix("问：").split("是")[0]
            texts = [f"人{name}", f"友{name}", f"人{name}", f"友{name}" if int(name[1:]) % 2 else "错"]
            found.append([Sampled(text, -1.0, 2) for text in texts])
        return found

    monkeypatch.setattr(Fake, "sample", sample)
    monkeypatch.setattr(Fake, "generate", lambda self, prompts, max_new_tokens: [""] * len(prompts))
    likes = {"错": 9.0, "友": 1.0, "人": -1.0}
    monkeypatch.setattr(Judge, "score", lambda self, prompts, answers: np.array([likes[a[0]] for a in answers]))
    align(asked)
    align(replace(asked, out=config.out / ".." / "judged", reward_model=Path("judge")), judge=True)
    ruled, judged = (
        [(int(row["id"][1:]) % 2, row["answer"][0]) for row in lines(out / "stages" / "1" / "kept.jsonl")]
        for out in (config.out, config.out / ".." / "judged")
    )
    assert {odd for odd, _ in ruled} == {0}  # where all are right the rule alone tells nothing
    assert {answer for _, answer in ruled} == {"人", "友"}
    assert len(judged) == 12
    assert {answer for _, answer in judged} == {"友"}


def test_without_the_rule_it_leaves_nothing_out(config: RaftConfig) -> None:
    write_adapter(config.adapter, 0.0)  # no sample is right
    judged = replace(config, reward_model=Path("judge"), rule_weight=0.0, replay_share=0.0)
    assert align(judged, judge=True).stages[1]["kept"] == 0  # but the judge likes all of them alike
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Judge, "score", lambda self, prompts, answers: np.array([float(a[-1]) for a in answers]))
        again = align(judged, judge=True)
    assert again.stages[1]["kept"] == 12
    assert {row["answer"] for row in lines(config.out / "stages" / "1" / "kept.jsonl")} == {"错3"}


def test_start_best_of_k_and_raft_stand_side_by_side(config: RaftConfig) -> None:
    comparison = align(config, Machine(learns={1: 0.9, 2: 1.0})).comparison
    assert comparison["chosen_by"] == "majority of the samples, then likelihood"
    assert (comparison["k"], comparison["questions"]) == (4, 8)
    assert comparison["raft"] == {"f1": 1.0, "exact_match": 1.0}
    assert comparison["sft"]["f1"] < comparison["sft_best_of_k"]["f1"] <= comparison["sft_any_of_k"]["f1"]
    gain, low, high = comparison["raft_gain"]["f1"]
    assert gain == pytest.approx(1.0 - comparison["sft"]["f1"])
    assert low <= gain <= high
    judged = align(replace(config, reward_model=Path("judge"), out=config.out / ".." / "b"), judge=True).comparison
    assert judged["chosen_by"] == "reward model"
    assert judged["sft_best_of_k"]["f1"] < comparison["sft_best_of_k"]["f1"]


def test_no_adapter_to_start_from(config: RaftConfig) -> None:
    with pytest.raises(InputError, match=r"model 'fake' without an adapter: .* pass it with --adapter"):
        align(replace(config, adapter=None))


def test_a_folder_with_other_things_is_left_alone(config: RaftConfig) -> None:
    config.out.mkdir()
    (config.out / "thesis.txt").write_text("years of work")
    with pytest.raises(StorageError, match=r"without a record\.json; it is left as it is"):
        align(config)
    assert [path.name for path in config.out.iterdir()] == ["thesis.txt"]


def test_a_damaged_file_of_a_stage_is_named(config: RaftConfig) -> None:
    align(config)
    stage = config.out / "stages" / "1"
    (stage / "metrics.json").unlink()
    shutil.copyfile(stage / "samples.jsonl", stage / "kept.jsonl")
    (stage / "samples.jsonl").write_text('{"id": 1}\n{"id"\n', encoding="utf-8")
    with pytest.raises(InputError, match=r"samples\.jsonl:2: damaged; delete the file and go on with --resume"):
        align(replace(config, resume=True))


def test_stages_are_steps_of_a_tensorboard_run(config: RaftConfig) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    result = align(replace(config, report_to="tensorboard"))
    events = EventAccumulator(str(config.out / "tensorboard")).Reload()
    sent = [(event.step, event.value) for event in events.Scalars("f1")]
    assert sent == [(row["stage"], pytest.approx(row["f1"])) for row in result.stages]
    assert [event.step for event in events.Scalars("reward")] == [1, 2]


def test_stages_are_steps_of_a_wandb_run(config: RaftConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    align(replace(config, stages=1, report_to="wandb"))
    (run,) = (config.out / "wandb").glob("offline-run-*/*.wandb")
    assert b"held_out_reward" in run.read_bytes()
