"""Curves of trainings: several runs in one picture, resumed runs in one line with the break marked."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="needs the extra [eval]")

from finetune.plots import run_curves, write_run_plot
from finetune.record import write_metrics
from kb_index.errors import InputError


def training(resumed_after: int | None = None) -> list[dict[str, float]]:
    lines: list[dict[str, float]] = [{"step": 0, "validation_loss": 4.0}]
    for step in range(1, 7):
        part = {"part": 1} if resumed_after is not None and step > resumed_after else {}
        lines.append({"step": step, "loss": 4.0 / step, "learning_rate": 1e-3, **part})
    return lines


RAFT = [{"stage": n, "reward": n / 4, "held_out_reward": n / 5, "f1": 0.5, "distinct_1": 0.3} for n in range(4)]


def drawn(axes: object, label: str) -> list[float]:
    (line,) = (line for line in axes.lines if line.get_label() == label)  # type: ignore[attr-defined]
    return list(line.get_xdata())


def test_a_resumed_run_goes_on_in_another_colour_after_a_mark() -> None:
    loss, rate = run_curves({"a": training(), "b": training(resumed_after=4)}).axes
    assert (loss.get_ylabel(), rate.get_ylabel()) == ("loss (nats)", "learning rate")
    assert drawn(loss, "a: training") == [1, 2, 3, 4, 5, 6]
    assert drawn(loss, "b: training") == [1, 2, 3, 4]
    first, resumed = [line for line in loss.lines if line.get_linestyle() == "-"][-2:]
    assert list(resumed.get_xdata()) == [4, 5, 6], "joined to the part before"
    assert first.get_color() != resumed.get_color()
    for axes in (loss, rate):
        marks = [list(line.get_xdata()) for line in axes.lines if line.get_marker() == "s"]
        assert marks == [[4], []], "the break and its entry in the legend"
    assert drawn(loss, "a: validation") == [0]


def test_runs_of_one_kind_share_a_colour_in_all_their_lines() -> None:
    loss, _ = run_curves({"a": training(), "b": training()}).axes
    colors = {line.get_label(): line.get_color() for line in loss.lines}
    assert colors["a: training"] == colors["a: validation"] != colors["b: training"]


def test_names_of_runs_may_be_chinese_and_hold_dollars() -> None:
    loss, _ = run_curves({"甲 $a$": training(), "b": training()}).axes
    text = loss.get_legend().get_texts()[0]
    assert (text.get_text(), text.get_parse_math()) == ("甲 $a$: training", False)
    assert text.get_fontproperties().get_file() != loss.xaxis.label.get_fontproperties().get_file()


def test_stages_show_reward_scores_and_diversity() -> None:
    titles = [axes.get_ylabel() for axes in run_curves({"raft": RAFT}).axes]
    assert titles == ["reward", "held-out score", "diversity"]
    assert run_curves({"raft": RAFT}).axes[0].get_xlabel() == "stage"


def test_all_that_a_stage_measured_has_its_curve() -> None:
    more = {"best_reward": 1.0, "commonest_token": 0.1, "kl": 0.2, "perplexity": 1.5, "tokens": 7.0}
    figure = run_curves({"raft": [line | more for line in RAFT]})
    titles = [axes.get_ylabel() for axes in figure.axes]
    assert titles[3:] == ["drift from the start (nats a token)", "perplexity of a character", "tokens of a sample"]
    assert drawn(figure.axes[0], "best") == [0, 1, 2, 3]
    steps = run_curves({"sft": [line | {"tokens": 100.0} for line in training()]})
    assert [axes.get_ylabel() for axes in steps.axes] == ["loss (nats)", "learning rate"]


def test_a_reward_model_stands_beside_its_control() -> None:
    lines: list[dict[str, float]] = [{"step": 1, "loss": 0.7}, {"step": 2, "held_out_accuracy": 0.8}]
    loss, accuracy = run_curves({"reward": lines, "control": lines[1:]}).axes
    assert [text.get_text() for text in loss.get_legend().get_texts()] == ["reward: training"]
    assert [text.get_text() for text in accuracy.get_legend().get_texts()] == ["reward", "control"]


def test_runs_are_read_from_their_folders_and_written_to_one_picture(tmp_path: Path) -> None:
    for name in ("x/run", "y/run"):
        (tmp_path / name).mkdir(parents=True)
        write_metrics(training(), tmp_path / name / "metrics.jsonl")
    write_run_plot([tmp_path / "x/run", tmp_path / "y/run"], tmp_path / "both.png")
    assert (tmp_path / "both.png").read_bytes().startswith(b"\x89PNG")


def test_what_cannot_be_drawn_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no lines in a metrics\.jsonl; expected the folder of a `kbqa finetune`"):
        write_run_plot([tmp_path], tmp_path / "a.png")
    with pytest.raises(InputError, match=r"expected a name that ends in \.png, \.svg or \.pdf"):
        write_run_plot([tmp_path], tmp_path / "a.doc")
