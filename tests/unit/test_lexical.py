import numpy as np

from kb_index.types import Entity, Triple
from kbqa_agent.lexical import LexicalRanker
from kbqa_agent.types import EntityMention

QUESTION = "《坛经》的作者是谁？"
MENTION = EntityMention("坛经", 1, 3, (Entity(0, "坛经"),))


def triple(number: int, predicate: str) -> Triple:
    return Triple(number, "坛经", predicate, "惠能", 0)


def test_the_attribute_that_the_question_spells_comes_first():
    scores, probabilities = LexicalRanker().rank(QUESTION, [MENTION], [triple(0, "出版社"), triple(1, "作者")])
    assert scores.tolist() == [np.float32(0.2), np.float32(1.2)]
    assert probabilities.argmax() == 1
    assert abs(probabilities.sum() - 1) < 1e-6


def test_without_triples_there_is_nothing_to_rank():
    scores, probabilities = LexicalRanker().rank(QUESTION, [], [])
    assert scores.shape == probabilities.shape == (0,)
