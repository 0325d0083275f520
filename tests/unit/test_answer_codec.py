"""What files keep of an answer is read back as it was."""

import json

import pytest

from kb_index.types import Entity, Triple
from kbqa_agent.answer_codec import candidates_from_rows, candidates_to_rows, mentions_from_rows, mentions_to_rows
from kbqa_agent.types import Candidate, EntityMention

TRIPLE = Triple(7, "坛经", "作者", "惠能", 1, ({"source": "a.txt"}, {"source": "b.txt"}))
CANDIDATES = (Candidate("惠能", 0.5, (TRIPLE,)), Candidate("法海", 0.25, ()))
MENTIONS = (EntityMention("坛经", 0, 2, (Entity(1, "坛经"), Entity(2, "坛经(电影)", "http://x/2"))),)


def test_candidates_and_mentions_come_back_whole():
    assert candidates_from_rows(json.loads(json.dumps(candidates_to_rows(CANDIDATES)))) == CANDIDATES
    assert mentions_from_rows(json.loads(json.dumps(mentions_to_rows(MENTIONS)))) == MENTIONS


def test_triples_may_have_no_other_columns():
    (candidate,) = candidates_from_rows([["惠能", 0.5, [[7, "坛经", "作者", "惠能", 1]]]])
    assert candidate.evidence == (TRIPLE._replace(extra=()),)


@pytest.mark.parametrize("rows", [7, [7], [["惠能"]], [["惠能", "x", []]], [["惠能", 0.5, [[7]]]]])
def test_anything_else_is_refused(rows):
    with pytest.raises((TypeError, ValueError)):
        candidates_from_rows(rows)
