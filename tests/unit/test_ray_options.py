"""Options that Ray alone heeds are a wrong usage without it."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from cli import main

WORDS = {
    "index": ["index", "some.kb", "--out", "index"],
    "ask": ["ask", "谁？", "--index", "index"],
    "eval": ["eval", "--index", "index", "--questions", "some.nlpcc", "--out", "out"],
    "serve": ["serve", "--index", "index"],
}


@pytest.mark.parametrize(
    ("command", "option", "value"),
    [
        ("index", "--ray-address", "head:6379"),
        ("index", "--gpus-per-task", "0.5"),
        ("ask", "--ray-address", "head:6379"),
        ("eval", "--workers", "2"),
        ("eval", "--gpus-per-worker", "0.25"),
        ("serve", "--ray-address", "head:6379"),
        ("serve", "--replicas", "2"),
        ("serve", "--max-replicas", "2"),
        ("serve", "--gpus-per-replica", "0.5"),
    ],
)
def test_an_option_for_ray_without_it_is_refused(command, option, value):
    done = CliRunner().invoke(main, [*WORDS[command], option, value])
    told = f"Error: {option} is for --engine ray; add that, or leave {option} out\n"
    assert (done.exit_code, done.stderr.endswith(told)) == (2, True), done.stderr


def test_it_may_come_before_the_engine():
    done = CliRunner().invoke(main, [*WORDS["index"], "--ray-address", "head:6379", "--engine", "ray"])
    assert done.stderr.endswith("Error: --engine ray needs --shards\n")


def test_an_address_in_the_environment_is_for_who_asks_ray():
    done = CliRunner(env={"RAY_ADDRESS": "head:6379"}).invoke(main, WORDS["ask"])
    assert done.stderr.startswith("kbqa: index 'index': no such folder")


def test_more_replicas_than_the_most():
    pytest.importorskip("fastapi", reason="needs the extra [serve]")
    words = [*WORDS["serve"], "--engine", "ray", "--replicas", "3", "--max-replicas", "2"]
    done = CliRunner().invoke(main, words)
    told = "Error: --replicas 3 is more than --max-replicas 2; lower the one or raise the other\n"
    assert (done.exit_code, done.stderr.endswith(told)) == (2, True), done.stderr
