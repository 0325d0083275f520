"""Why an answer is withheld, and what is asked back."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import numpy as np
import pytest

from kb_index.errors import InputError
from kb_index.types import Entity, Triple
from kbqa_agent.answer_forms import answer_to_json, answer_to_text
from kbqa_agent.candidates import decide
from kbqa_agent.config import AgentConfig
from kbqa_agent.presence import SPREAD, Alike, HeldOut, Presence, PresenceModel, presence_inputs
from kbqa_agent.silence import asking_back, reason_for_silence
from kbqa_agent.types import Answer, Candidate, EntityMention

ACTOR, PROFESSOR = Entity(4, "李伟(演员)"), Entity(9, "李伟(教授)")
MENTION = EntityMention("李伟", 0, 2, (ACTOR, PROFESSOR))


def candidate(answer: str, score: float, entity: Entity = ACTOR, predicate: str = "出生日期") -> Candidate:
    return Candidate(answer, score, (Triple(sum(map(ord, answer)), entity.name, predicate, answer, entity.id),))


HALF = PresenceModel(
    None,  # type: ignore[arg-type]
    HeldOut(
        present=(0.9, 0.8, 0.6, 0.1),
        best_share=(1.0, 1.0, 1.0, 1.0),
        right=(True, True, False, False),
        answerable=(True, True, False, False),
    ),
)
HOMONYMS = [candidate("1955年", 0.45), candidate("1980年", 0.4, PROFESSOR, "出生 日期"), candidate("中国", 0.05)]


def test_homonyms_are_listed_with_their_descriptions() -> None:
    answer = decide("李伟哪年出生？", HOMONYMS, (MENTION,), 0.5, {})
    assert (answer.text, answer.abstained, answer.confidence) == (None, "ambiguous", 0.45)
    assert answer_to_json(answer)["choices"] == [
        {"entity": "李伟(演员)", "entity_id": 4, "answer": "1955年"},
        {"entity": "李伟(教授)", "entity_id": 9, "answer": "1980年"},
    ]
    assert answer_to_text(answer).splitlines()[0] == (
        "(no answer: several entities of that name fit) Which one? 1. 李伟(演员) 2. 李伟(教授)"
    )


def test_homonyms_without_descriptions_are_told_apart_by_what_is_asked() -> None:
    plain = (Entity(4, "李伟"), Entity(9, "李伟"))
    found = [candidate("1955年", 0.45, plain[0]), candidate("1980年", 0.4, plain[1])]
    answer = decide("李伟哪年出生？", found, (EntityMention("李伟", 0, 2, plain),), 0.5, {})
    assert "Which one? 1. 李伟 (出生日期: 1955年) 2. 李伟 (出生日期: 1980年)" in answer_to_text(answer)


def test_a_sure_answer_lists_nothing_and_asks_nothing() -> None:
    answer = decide("李伟哪年出生？", HOMONYMS, (MENTION,), 0.4, {}, Presence(0.5, 0.3, 0.2))
    assert (answer.text, answer.abstained) == ("1955年", None)
    assert "choices" not in answer_to_json(answer)


@pytest.mark.parametrize(
    ("presence", "reason"),
    [
        (Presence(0.5, 0.3, 0.2), "ambiguous"),
        (Presence(0.3, 0.6, 0.1), "no_attribute"),
        (Presence(0.3, 0.2, 0.5), "no_entity"),
        (None, "ambiguous"),
    ],
)
def test_the_likeliest_reason(presence, reason) -> None:
    assert reason_for_silence(HOMONYMS, [MENTION], presence) == reason


def test_reasons_without_homonyms() -> None:
    one_entity = [candidate("1955年", 0.4), candidate("1956年", 0.3)]
    assert reason_for_silence(one_entity, [MENTION], None) == "low_confidence"
    assert reason_for_silence([candidate("1955年", 0.1)], [MENTION], None) == "no_attribute"
    assert reason_for_silence([], [], None) == "no_entity"
    # One homonym alone has the attribute; the rival is another attribute of the other.
    other = [candidate("1955年", 0.4), candidate("中国", 0.3, PROFESSOR, "国籍")]
    assert reason_for_silence(other, [MENTION], None) == "low_confidence"


def test_the_tolerated_risk_becomes_a_confidence() -> None:
    assert HALF.threshold(0.34) == 0.6
    assert HALF.threshold(0.3) == 0.8
    assert replace(HALF, held_out=HeldOut((0.9,), (1.0,), (False,), (True,))).threshold(0.05) == inf
    assert AgentConfig(max_risk=0.34, min_confidence=0.02).for_risk(HALF.threshold).min_confidence == 0.6
    assert AgentConfig(max_risk=0.34, min_confidence=0.7).for_risk(HALF.threshold).min_confidence == 0.7
    assert AgentConfig(max_risk=0.05).for_risk(lambda _: inf).min_confidence == inf
    assert AgentConfig().for_risk(HALF.threshold) == AgentConfig()
    silent = decide("李伟哪年出生？", [candidate("1955年", 1.0)], (MENTION,), inf, {})
    assert (silent.text, silent.abstained) == (None, "low_confidence")
    with pytest.raises(InputError, match=r"max_risk=0\.0: expected a share"):
        AgentConfig(max_risk=0.0)


def test_answers_of_equal_confidence_count_together() -> None:
    same = HeldOut((0.9, 0.9, 0.9, 0.9), (1.0,) * 4, (True, True, False, False), (True, True, False, False))
    assert same.threshold(0.5, 0.5) == pytest.approx(0.9)
    assert same.threshold(0.1, 0.5) == inf


def test_a_confidence_is_said_for_the_share_that_is_expected() -> None:
    # The odds are 9, 4, 1.5 and 1 / 9 where half of the questions have an answer, and nine times that where 0.9 have.
    most = replace(HALF, expected_share=0.9)
    # Each of the two answerable forms then stands for 0.45 of the questions, and each of the others for 0.05.
    assert most.threshold(0.052) == pytest.approx(36 / 37)
    assert most.threshold(0.053) == pytest.approx(13.5 / 14.5)
    assert most.threshold(0.101) == pytest.approx(1 / 2)


@pytest.mark.parametrize(
    ("names", "share", "below", "abstained"),
    [
        (("李伟(演员)", "李伟(教授)"), 0.61, 0.6, None),
        (("李伟(演员)", "李伟(教授)"), 0.59, 0.6, "ambiguous"),
        (("李伟", "李伟"), 0.61, 0.6, "ambiguous"),
        (("李伟", "李伟"), 0.89, 0.6, "ambiguous"),
        (("李伟", "李伟"), 0.91, 0.6, None),
        (("李伟", "李伟"), 0.5, 0.0, None),
    ],
)
def test_of_entities_with_the_very_same_name_one_is_told_only_when_it_is_likely(names, share, below, abstained) -> None:
    entities = tuple(Entity(n, name, f"http://example.org/{n}") for n, name in enumerate(names))
    found = (candidate("1955年", share, entities[0]), candidate("1960年", 1 - share, entities[1]))
    answer = Answer("李伟哪年出生？", "1955年", share, None, found, (EntityMention("李伟", 0, 2, entities),))
    assert asking_back(answer, below).abstained == abstained


def test_at_least_some_question_is_thought_to_have_an_answer() -> None:
    with pytest.raises(InputError, match=r"answerable_share=0\.0: expected a share over 0"):
        AgentConfig(answerable_share=0.0)
    assert AgentConfig(answerable_share=1.0).answerable_share == 1.0


def test_what_the_model_of_presence_sees() -> None:
    triples = [
        Triple(1, "甲", "作者", "乙", 1),
        Triple(2, "甲", "朝代", "唐", 1),
        Triple(3, "甲(书)", "作者", "丙", 2),
        Triple(4, "甲(书)", "译者", "乙", 2),
    ]
    scores = np.array([3.0, 1.0, 2.5, 0.0], np.float32)
    shares = np.array([0.5, 0.1, 0.3, 0.1], np.float32)
    of_best = np.array([7.0, 8.0], np.float32)
    seen = presence_inputs(scores, of_best, Alike.of(triples), shares, n_mentions=2)
    spread = dict(zip(SPREAD, seen[: len(SPREAD)].tolist(), strict=True))
    assert spread == pytest.approx(
        {
            "best_score": 3.0,
            "log_sum": float(np.log(np.exp(scores.astype(float)).sum())),
            "best_share": 0.6,
            "second_share": 0.3,
            "agreeing": 2,
            "mean_score": 1.625,
            "score_deviation": float(scores.std()),
            "other_entity_gap": 0.5,
            "other_attribute_gap": 2.0,
            "n_mentions": 2,
            "n_triples": 4,
        }
    )
    assert seen[len(SPREAD) :].tolist() == [7.0, 8.0]
    alone = presence_inputs(scores[:1], of_best, Alike.of(triples[:1]), np.ones(1, np.float32), n_mentions=1)
    assert dict(zip(SPREAD, alone.tolist(), strict=False))["other_entity_gap"] == 20.0
