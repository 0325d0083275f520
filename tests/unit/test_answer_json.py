"""The JSON form of an answer."""

from __future__ import annotations

import json

import numpy as np

from kb_index.types import Entity, Triple
from kbqa_agent.answer_json import answer_to_json
from kbqa_agent.types import Answer, Candidate, EntityMention

MENTION = EntityMention("李伟", 0, 2, (Entity(4, "李伟(演员)"), Entity(9, "李伟(教授)")))


def test_all_keys_and_plain_values() -> None:
    candidate = Candidate("1955年", np.float32(0.75), (Triple(17, "李伟(教授)", "出生日期", "1955年", 9),))
    answer = Answer("李伟哪年出生？", "1955年", np.float32(0.75), None, (candidate,), (MENTION,), {"linking": 0.12345})
    assert json.loads(json.dumps(answer_to_json(answer))) == {
        "question": "李伟哪年出生？",
        "answer": "1955年",
        "confidence": 0.75,
        "abstained": None,
        "mentions": [{"text": "李伟", "start": 0, "end": 2, "entity": "李伟(教授)"}],
        "candidates": [
            {
                "answer": "1955年",
                "score": 0.75,
                "evidence": [{"id": 17, "subject": "李伟(教授)", "predicate": "出生日期", "object": "1955年"}],
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
