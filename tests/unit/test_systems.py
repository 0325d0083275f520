"""What a file of systems may say, and what is told of one that says something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from eval.systems import System, baseline_of, read_systems
from kb_index.errors import InputError


def read(folder: Path, text: str) -> list[System]:
    path = folder / "systems.toml"
    path.write_text(text, encoding="utf-8")
    return read_systems(path)


def test_systems_in_their_order_with_the_options_that_they_set(tmp_path: Path) -> None:
    systems = read(
        tmp_path,
        """
        [[system]]
        name = "词汇 baseline"
        ranker = "lexical"
        model = "none"
        [[system]]
        name = "RAFT"
        note = "two stages"
        published = "LLaMA 7B"
        baseline = true
        limit = 500
        closed_book = false
        max_risk = 0.05
        """,
    )
    assert systems == [
        System("词汇 baseline", options={"ranker": "lexical", "model": "none"}),
        System("RAFT", "two stages", "LLaMA 7B", True, 500, {"closed_book": False, "max_risk": 0.05}),
    ]
    assert [system.folder for system in systems] == ["词汇-baseline", "RAFT"]
    assert baseline_of(systems).name == "RAFT"
    assert baseline_of(systems[:1]).name == "词汇 baseline"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", r"expected one \[\[system\]\] table or more, and nothing else; got \[\]"),
        ("[system]\nname = 'a'", "expected one"),
        ("x = 1\n[[system]]\nname = 'a'", "got .'system', 'x'.$"),
        ("[[system", r"cannot be read as TOML .*expected \[\[system\]\] tables"),
        ("[[system]]\nmodel = 'none'", "system 1 has no name"),
        ("[[system]]\nname = '|||'", "system 1 has no name"),
        ("[[system]]\nname = 'A'\n[[system]]\nname = 'a'", "two systems are called 'a'"),
        ("[[system]]\nname = '///'", "system 1 has no name"),
        ("[[system]]\nname = 'a'\nmodle = 'none'", r"system 1 \(a\): unknown key 'modle'; expected one of name, note"),
        ("[[system]]\nname = 'a'\nclosed_book = 'yes'", r"closed_book = 'yes' is of the wrong type"),
        ("[[system]]\nname = 'a'\nlimit = true", "limit = True is of the wrong type"),
        ("[[system]]\nname = 'a'\nlimit = 0", "limit = 0: expected at least 1"),
        ("[[system]]\nname = 'a'\npublished = 'GPT-5'", "published = 'GPT-5': expected one of Galactica 1.3B, GPT-2"),
        ("[[system]]\nname = 'a'\n[[system]]\nname = 'a'", "two systems are called 'a'"),
        ("[[system]]\nname = 'a/b'\n[[system]]\nname = 'a b'", "two systems are called 'a-b'"),
        (
            "[[system]]\nname = 'a'\nbaseline = true\n[[system]]\nname = 'b'\nbaseline = true",
            "two systems say baseline",
        ),
    ],
)
def test_what_is_told_of_a_file_that_says_something_else(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        read(tmp_path, text)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none.toml: cannot be read \(No such file"):
        read_systems(tmp_path / "none.toml")
