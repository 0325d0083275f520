"""Prompts that are too long lose triples, last first, and never their question."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbqa_agent.tokenizing import context_length, encode_answer, encode_prompt

END = 0


class CharacterTokenizer:
    """A token for each character: its code point; the end token is 0."""

    eos_token_id = END

    def __call__(
        self, text: str, add_special_tokens: bool = True, split_special_tokens: bool = False
    ) -> dict[str, list[int]]:
        return {"input_ids": [ord(character) for character in text]}


class EndingTokenizer(CharacterTokenizer):
    """Ends each text by itself."""

    def __call__(
        self, text: str, add_special_tokens: bool = True, split_special_tokens: bool = False
    ) -> dict[str, list[int]]:
        ids = super().__call__(text)["input_ids"]
        return {"input_ids": [*ids, END] if add_special_tokens else ids}


def text(ids: list[int]) -> str:
    return "".join(map(chr, ids))


@pytest.mark.parametrize(
    ("room", "expected"),
    [
        (100, "【甲】\n乙：一\n丙：二\n问：谁？\n答："),
        (19, "【甲】\n乙：一\n丙：二\n问：谁？\n答："),
        (18, "【甲】\n乙：一\n问：谁？\n答："),
        (15, "【甲】\n乙：一\n问：谁？\n答："),
        (14, "【甲】\n问：谁？\n答："),
        (10, "问：谁？\n答："),
        (3, "\n答："),
    ],
)
def test_whole_lines_are_dropped_from_the_end_of_the_triples(room, expected):
    prompt = "【甲】\n乙：一\n丙：二\n问：谁？\n答："
    assert text(encode_prompt(CharacterTokenizer(), prompt, room)) == expected


@given(
    st.lists(st.text(alphabet="甲乙丙：", max_size=12), max_size=12),
    st.text(alphabet="谁何", max_size=9),
    st.integers(1, 80),
)
def test_the_question_outlives_every_triple(facts, question, room):
    tail = f"问：{question}\n答："
    ids = encode_prompt(CharacterTokenizer(), "\n".join([*facts, tail]), room)
    assert len(ids) <= room
    assert text(ids).endswith(tail[-room:])


def test_an_answer_ends_with_the_end_token_also_when_it_is_cut():
    assert encode_answer(CharacterTokenizer(), "abc") == [97, 98, 99, END]
    assert encode_answer(CharacterTokenizer(), "abc", 2) == [97, END]


def test_a_tokenizer_that_ends_texts_by_itself_does_not_end_the_prompt():
    assert text(encode_prompt(EndingTokenizer(), "问：谁？\n答：", 50)) == "问：谁？\n答："


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"max_position_embeddings": 8192}, 8192),
        ({"n_positions": 1024}, 1024),
        ({"max_position_embeddings": None, "n_ctx": 77}, 77),
    ],
)
def test_context_length_is_read_from_the_model(config, expected):
    assert context_length(SimpleNamespace(config=SimpleNamespace(**config))) == expected
