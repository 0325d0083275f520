"""Preferences as they come: four forms, told apart by content, and what is left out or refused."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune.preferences import Preference, read_preferences, write_preferences
from kb_index.errors import InputError

texts = st.text(max_size=20)
answers = st.text(min_size=1, max_size=20).filter(str.strip)


def distinct(pair: Preference) -> bool:
    return pair.chosen.strip() != pair.rejected.strip()


own = st.lists(st.builds(Preference, texts, answers, answers).filter(distinct), min_size=1, max_size=5)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file whose name says nothing true of its content."""
    return tmp_path_factory.mktemp("preferences") / "pairs.csv"


def read(path: Path, *rows: object) -> list[Preference]:
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    return read_preferences(path).pairs


@settings(deadline=None)  # the disk may be slow
@given(own)
def test_own_form_is_read_back_as_it_was_written(path, pairs):
    write_preferences(pairs, path)
    assert read_preferences(path) == (pairs, 0, 0)


@settings(deadline=None)  # the disk may be slow
@given(own)
def test_a_packed_array_is_the_same(path, pairs):
    rows = [{"prompt": p.prompt, "chosen": p.chosen, "rejected": p.rejected} for p in pairs]
    path.write_bytes(gzip.compress(json.dumps(rows).encode()))
    assert read_preferences(path).pairs == pairs


def test_transcripts_share_their_prompt(path):
    start = "\n\nHuman: Who wrote it?\n\nAssistant: What?\n\nHuman: The Platform Sutra.\n\nAssistant:"
    pairs = read(path, {"chosen": f"{start} I think Huineng.", "rejected": f"{start} I think Kant."})
    assert pairs == [Preference(start, " I think Huineng.", " I think Kant.")]


def test_a_longer_conversation_is_split_where_both_still_answer(path):
    start = "\n\nHuman: 1+1?\n\nAssistant:"
    pairs = read(path, {"chosen": f"{start} 2", "rejected": f"{start} 2\n\nHuman: Sure?\n\nAssistant: 3"})
    assert pairs == [Preference(start, " 2", " 2\n\nHuman: Sure?\n\nAssistant: 3")]


def test_lmflow_instances(path):
    rows = [{"positive": "###Human: Hi###Assistant: Hello", "negative": "###Human: Hi###Assistant: Go away"}]
    assert read(path, {"type": "text_only", "instances": rows}) == [
        Preference("###Human: Hi###Assistant:", " Hello", " Go away")
    ]


def test_transcripts_without_marks_share_whole_lines(path):
    assert read(path, {"positive": "惠能\n唐朝人", "negative": "惠能\n唐人"}) == [
        Preference("惠能\n", "唐朝人", "唐人")
    ]
    assert read(path, {"positive": "甲乙", "negative": "甲丙"}) == [Preference("", "甲乙", "甲丙")]


@settings(deadline=None)  # the disk may be slow
@given(texts, answers, answers)
def test_prompt_and_answer_are_the_whole_transcript(path, start, first, second):
    chosen, rejected = f"{start}\n\nAssistant:{first}", f"{start}\n\nAssistant:{second}"
    if first.strip() != second.strip():
        (pair,) = read(path, {"chosen": chosen, "rejected": rejected})
        assert (pair.prompt + pair.chosen, pair.prompt + pair.rejected) == (chosen, rejected)


def test_a_ranked_list_gives_all_its_pairs_best_first(path):
    row = {
        "instruction": "生于何年？",
        "input": "",
        "output": ["638年", "唐朝", "不清楚"],
        "history": [["谁？", "惠能"]],
    }
    prompt = "问：谁？\n答：惠能\n问：生于何年？\n答："
    assert read(path, row) == [
        Preference(prompt, "638年", "唐朝"),
        Preference(prompt, "638年", "不清楚"),
        Preference(prompt, "唐朝", "不清楚"),
    ]


def test_forms_may_be_mixed(path):
    rows = ({"prompt": "问", "chosen": "甲", "rejected": "乙"}, {"instruction": "问", "output": ["丙", "丁"]})
    assert [pair.chosen for pair in read(path, *rows)] == ["甲", "丙"]


def test_equal_and_empty_sides_are_counted_and_left_out(path, caplog):
    rows = [("惠能", "惠能 "), ("惠能", " \n"), ("", "惠能"), ("惠能", "神秀")]
    for_path = [{"prompt": "谁？", "chosen": chosen, "rejected": rejected} for chosen, rejected in rows]
    path.write_text("\n".join(map(json.dumps, for_path)), encoding="utf-8")
    assert read_preferences(path) == ([Preference("谁？", "惠能", "神秀")], 1, 2)
    said = f"left out 1 pairs with equal sides and 2 with an empty one, the first at {path}:1"
    assert caplog.messages == [f"{path}: {said}"]


def test_a_file_without_one_pair_to_learn_from_is_refused(path):
    path.write_text('[{"instruction": "谁？", "output": ["惠能", "惠能"]}]', encoding="utf-8")
    with pytest.raises(InputError, match=r"no pair to learn from \(1 pairs with equal sides .* row 1\)"):
        read_preferences(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r":1: not JSON .*; expected prompt, chosen and rejected; "),
        ("[]", r"no pair to learn from \(it has no rows\)"),
        ("7", r"got '7'; expected prompt"),
        ('{"chosen": "a", "rejected": "b"}\n{"chosen": "a", "rej', r":2: not JSON"),
        ('[\n{"chosen": "a", "rejected": "b"},\n{"chosen"', r":3: not JSON"),
        ('{"question": "a", "answer": "b"}', r"row 1: got \"{'question': 'a', 'answer': 'b'}\"; expected prompt"),
        ('[{"chosen": ["a"], "rejected": "b"}]', r"row 1: 'chosen' is \"\['a'\]\"; expected a text"),
        ('[{"instruction": "a", "output": "b"}]', r"row 1: 'output' is 'b'; expected a list of texts, best first"),
        ('[{"instruction": "a", "output": ["b", "c"], "history": ["d"]}]', r"expected a list of \[question, answer\]"),
        ("[[1, 2]]", r"row 1: got '\[1, 2\]'; expected"),
    ],
)
def test_other_content_is_refused_with_file_and_row(path, content, message):
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=message) as error:
        read_preferences(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_files_that_cannot_be_read_are_refused(path, tmp_path):
    for content, message in (
        (b"\xff\xfe\x00", "not UTF-8"),
        (gzip.compress(b'[{"chosen": "a", "rejected": "b"}]')[:-9], "cannot be unpacked"),
    ):
        path.write_bytes(content)
        with pytest.raises(InputError, match=message):
            read_preferences(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_preferences(tmp_path / "none.json")
