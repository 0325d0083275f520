"""How BERT's two probabilities become those of triples, and what its network makes of texts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from finetune.bert_rows import BertRow, bert_rows
from finetune.bert_scratch import character_tokenizer, small_bert
from finetune.retrieved import Retrieved
from kb_index import Entity, Triple
from kb_index.errors import ModelError
from kbqa_agent.bert_network import BertNetwork
from kbqa_agent.bert_ranker import BertCalibration, BertRanker
from kbqa_agent.types import EntityMention, QAExample

torch = pytest.importorskip("torch", reason="needs the extra [models]")

QUESTION = "坛经的作者是谁"
MENTIONS = (
    EntityMention("坛经", 0, 2, (Entity(1, "坛经"), Entity(2, "坛经(电影)"))),
    EntityMention("作者", 3, 5, (Entity(3, "作者"),)),
)
TRIPLES = (
    Triple(1, "坛经", "作者", "惠能", 1),
    Triple(2, "坛经", "作者", "法海", 1),
    Triple(3, "坛经", "朝代", "唐", 1),
    Triple(4, "坛经(电影)", "作者", "张三", 2),
    Triple(5, "作者", "类型", "歌曲", 3),
)


class Knows:
    """Stands for a network: names are meant 3 to 1, and a question is as near to 作者 as 作者 is to itself."""

    def point(self, questions: list[str], spans: list[list[tuple[int, int]]]) -> Any:
        assert (questions, spans) == ([QUESTION], [[(0, 2), (3, 5)]])
        return torch.tensor([[np.log(3.0), 0.0]])

    def vectors(self, texts: list[str]) -> Any:
        near = {"_的作者是谁": [1.0, 0.0], "作者": [1.0, 0.0], "朝代": [0.0, 1.0]}
        return torch.tensor([near[text] for text in texts])


def test_homonyms_share_an_attribute_equally_and_an_entitys_values_its_part():
    cold = BertCalibration(1.0, 0.1, 0.9)
    scores, probabilities = BertRanker(Knows(), cold).rank(QUESTION, MENTIONS, TRIPLES)
    np.testing.assert_allclose(probabilities, np.array([0.1875, 0.1875, 0.0, 0.375, 0.25]) * 0.9, atol=1e-6)
    np.testing.assert_allclose(np.exp(scores), [0.1875, 0.1875, 0.0, 0.375, 0.25], atol=1e-6)


def test_temperatures_say_how_sure_each_step_makes():
    warm = BertCalibration(mention_temperature=1e6, attribute_temperature=1e6)
    _, probabilities = BertRanker(Knows(), warm).rank(QUESTION, MENTIONS, TRIPLES)
    np.testing.assert_allclose(probabilities, [0.0625, 0.0625, 0.25, 0.125, 0.5], atol=1e-4)


def test_nothing_to_rank_is_no_number():
    scores, probabilities = BertRanker(Knows(), BertCalibration()).rank(QUESTION, (), ())
    assert scores.shape == probabilities.shape == (0,)


@pytest.fixture(scope="module")
def network() -> BertNetwork:
    tokenizer = character_tokenizer([QUESTION] * 2)
    torch.manual_seed(0)
    made = BertNetwork.begin(tokenizer, small_bert(len(tokenizer), layers=1, width=32).eval())
    made.heads.eval()
    return made


def test_a_vector_does_not_depend_on_the_texts_beside_it(network: BertNetwork):
    texts = ["作者" * (1 + i % 7) for i in range(100)] + ["_的作者"]
    with torch.inference_mode():
        together = network.vectors(texts).numpy()
        for i in (0, 6, 63, 64, 100):
            np.testing.assert_allclose(together[i], network.vectors([texts[i]])[0].numpy(), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1.0, atol=1e-5)


def test_the_masked_name_is_one_token_and_case_and_width_do_not_count(network: BertNetwork):
    encode = network.tokenizer
    assert encode("[MASK]的作者")["input_ids"] == [2, 4, *encode("的作者")["input_ids"][1:]]
    small, wide = (character_tokenizer(["abc"] * 2)(text)["input_ids"] for text in ("abc", "Ａ ＢＣ"))
    assert small == wide == [2, 5, 6, 7, 3]


def test_spans_are_pointed_at_by_their_first_and_last_tokens(network: BertNetwork):
    questions, spans = [QUESTION, "长" * 300], [[(0, 2), (3, 5), (0, 1)], [(290, 300)]]
    with torch.inference_mode():
        found = network.point(questions, spans).numpy()
        inputs = network.tokenizer([QUESTION], return_tensors="pt")
        ends = network.heads["span"](network.encoder(**inputs).last_hidden_state)[0].numpy()  # [CLS] is token 0
    expected = [ends[1, 0] + ends[2, 1], ends[4, 0] + ends[5, 1], ends[1, 0] + ends[1, 1]]
    np.testing.assert_allclose(found[0], expected, atol=1e-5)
    assert found[1].tolist() == [-100.0, -np.inf, -np.inf]  # behind what the encoder has place for; no such spans


def test_a_tokenizer_that_does_not_tell_where_tokens_stand_is_refused():
    class Slow:
        is_fast = False

    with pytest.raises(ModelError, match="does not tell where tokens stand"):
        BertNetwork.begin(Slow(), None)


def test_rows_hold_the_gold_mention_and_wrong_attributes_only():
    right = np.array([2, 0, 0, 0, 0])
    found = Retrieved(QUESTION, MENTIONS, list(TRIPLES), right, True, None, None)
    unknown = found._replace(labels=np.zeros(5, np.int64))
    example = QAExample("1", QUESTION, ("惠能",), ("坛经", "作者", "惠能"))
    assert bert_rows([unknown, found], [example, example]) == [
        BertRow(1, QUESTION, ((0, 2), (3, 5)), 0, "_的作者是谁", "作者", ("朝代",), ("类型",))
    ]


def test_of_several_mentions_with_the_answer_the_gold_subjects_name_is_gold():
    answers = Retrieved(QUESTION, MENTIONS, list(TRIPLES), np.array([0, 0, 2, 0, 2]), True, None, None)
    example = QAExample("1", QUESTION, ("唐",), ("《作者》(歌曲)", "类型", "唐"))
    assert bert_rows([answers], [example]) == [
        BertRow(0, QUESTION, ((0, 2), (3, 5)), 1, "坛经的_是谁", "类型", (), ("作者",))
    ]
