"""The JSON form of an answer."""

from __future__ import annotations

import json

import numpy as np

from kb_index.types import Entity, Triple
from kbqa_agent.answer_forms import answer_to_json, answer_to_text
from kbqa_agent.types import Answer, Candidate, EntityMention

MENTION = EntityMention("李伟", 0, 2, (Entity(4, "李伟(演员)"), Entity(9, "李伟(教授)")))


def test_evidence_tells_its_subjects_key() -> None:
    mention = EntityMention("李伟", 0, 2, (Entity(9, "李伟", "http://example.org/Q9"),))
    found = Candidate("1955年", 0.75, (Triple(17, "李伟", "出生日期", "1955年", 9),))
    told = Answer("李伟哪年出生？", "1955年", 0.75, None, (found,), (mention,))
    [triple] = answer_to_json(told)["candidates"][0]["evidence"]
    assert triple["subject_key"] == "http://example.org/Q9"


def test_all_keys_and_plain_values() -> None:
    candidate = Candidate("1955年", np.float32(0.75), (Triple(17, "李伟(教授)", "出生日期", "1955年", 9),))
    answer = Answer("李伟哪年出生？", "1955年", np.float32(0.75), None, (candidate,), (MENTION,), {"linking": 0.12345})
    assert json.loads(json.dumps(answer_to_json(answer))) == {
        "question": "李伟哪年出生？",
        "answer": "1955年",
        "values": [],
        "confidence": 0.75,
        "abstained": None,
        "supported": True,
        "mentions": [{"text": "李伟", "start": 0, "end": 2, "entity": "李伟(教授)"}],
        "candidates": [
            {
                "answer": "1955年",
                "score": 0.75,
                "evidence": [
                    {"id": 17, "subject": "李伟(教授)", "subject_id": 9, "predicate": "出生日期", "object": "1955年"}
                ],
            }
        ],
        "timings_ms": {"linking": 0.123},
    }


def test_abstaining_has_no_answer_but_a_reason() -> None:
    row = answer_to_json(Answer("李伟？", None, 0.0, "no_attribute", (), (MENTION,)))
    assert row["answer"] is None
    assert row["abstained"] == "no_attribute"
    assert row["mentions"][0]["entity"] == "李伟(演员)"
    assert row["candidates"] == []


def test_the_lines_that_people_read():
    triple = Triple(1, "坛经", "作者", "惠" * 150, 7, ({"来源": "长" * 150},))
    candidate = Candidate("惠能", 0.925, (triple,))
    answer = Answer("谁？", "惠能", 0.925, None, (candidate,), ())
    assert answer_to_text(answer).splitlines() == [
        "惠能  (92%)",
        "  92.5%  坛经 | 作者 | " + "惠" * 100 + "…  (来源: " + "长" * 96 + "…)",
    ]
    hopeless = Candidate("弘忍", 0.0049, (triple,))
    assert len(answer_to_text(Answer("谁？", "惠能", 0.925, None, (candidate, hopeless), ())).splitlines()) == 2
    assert len(answer_to_text(Answer("谁？", None, 0.0049, "low_confidence", (hopeless,), ())).splitlines()) == 2
    silent = Answer("谁？", None, 0.0, "no_entity", (), ())
    assert answer_to_text(silent) == "(no answer: nothing in the question is an entity of the knowledge base)"
    made_up = Answer("谁？", "李白", 0.0, None, (), (), supported=False)
    assert answer_to_text(made_up) == "李白  (the generator's own words, backed by no triple)"


def test_marks_that_turn_the_direction_of_writing_are_for_programs_alone() -> None:
    value = "神\u202e秀\u202c\u2066惠\u2069\u200e能\u200f"
    triple = Triple(1, "坛\u202d经", "作\u202b者", value, 7, ({"来\u202a源": "\u2067\u2068\u061c书"},))
    answer = Answer("谁？", value, 0.925, None, (Candidate(value, 0.925, (triple,)),), ())
    assert answer_to_text(answer) == "神秀惠能  (92%)\n  92.5%  坛经 | 作者 | 神秀惠能  (来源: 书)"
    assert answer_to_json(answer)["answer"] == value
