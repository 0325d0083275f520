"""What people's words do to an answer, with figures worked out by hand: a stance multiplies odds by 17 / 3."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kb_index.types import Entity, Triple
from kbqa_agent.feedback import FeedbackStore
from kbqa_agent.feedback_effect import FeedbackEffect, Heeded
from kbqa_agent.feedback_memory import FeedbackMemory, Stance, lessons_of, stance_of
from kbqa_agent.feedback_records import Judgement, Shown, System
from kbqa_agent.feedback_texts import question_key
from kbqa_agent.feedback_wordings import AttributeVotes, Lesson
from kbqa_agent.types import Candidate, EntityMention, Feedback, Rating

QUESTION = "坛经是谁写的？"
BOOK = EntityMention("坛经", 0, 2, (Entity(1, "坛经"),))
VALUES = {"惠能": "作者", "神秀": "译者", "唐": "朝代"}
TRIPLES = [Triple(i, "坛经", attribute, value, 1) for i, (value, attribute) in enumerate(VALUES.items())]
RATIO = 0.85 / 0.15


def candidates(*scores: float, triples: Sequence[Triple] = TRIPLES) -> list[Candidate]:
    return [Candidate(t.object, score, (t,)) for t, score in zip(triples, scores, strict=False)]


STRONG, WEAK = candidates(0.97, 0.01, 0.005), candidates(0.5, 0.3, 0.1)
Say = Callable[..., int]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FeedbackStore]:
    with FeedbackStore(tmp_path / "feedback.sqlite") as opened:
        yield opened


@pytest.fixture
def effect(store: FeedbackStore) -> FeedbackEffect:
    return FeedbackEffect(store, told_from=0.15)


@pytest.fixture
def say(store: FeedbackStore) -> Say:
    return lambda *args, **kwargs: add(store, *args, **kwargs)


def add(
    store: FeedbackStore,
    user: str,
    answer: str | None,
    rating: Rating,
    correction: str | None = None,
    found: Sequence[Candidate] = WEAK,
    *,
    question: str = QUESTION,
    mention: EntityMention = BOOK,
) -> int:
    values = (answer,) if answer is not None else ()
    shown = Shown(tuple(found), (mention,), values, "问", System("none", None, None))
    return store.add(Feedback(question, answer, rating, correction), shown, user)


def heed(effect: FeedbackEffect, found: Sequence[Candidate] = WEAK, question: str = QUESTION) -> Heeded:
    return effect.heed(question, found, [BOOK], TRIPLES)


def scores(heeded: Heeded) -> dict[str, float]:
    return {c.answer: round(c.score, 3) for c in heeded.candidates}


def first(heeded: Heeded) -> str:
    return heeded.candidates[0].answer


def test_without_feedback_nothing_changes(effect: FeedbackEffect) -> None:
    assert heed(effect) == (WEAK, None, False)


def test_a_confirmed_answer_is_surer(effect: FeedbackEffect, say: Say) -> None:
    say("li", "惠能", "good")
    heeded = heed(effect)
    whole = 0.5 * RATIO + 0.3 + 0.1 + 0.1
    assert scores(heeded) == {"惠能": round(0.5 * RATIO / whole, 3), "神秀": 0.09, "唐": 0.03}
    assert (heeded.judged, round(heeded.missing or 0, 3)) == (True, 0.03)


def test_a_rejected_answer_gives_way_to_the_next(effect: FeedbackEffect, say: Say) -> None:
    say("li", "惠能", "bad")
    assert scores(heed(effect)) == {"神秀": 0.51, "唐": 0.17, "惠能": 0.15}


def test_votes_cancel(effect: FeedbackEffect, say: Say) -> None:
    say("li", "惠能", "good")
    say("wang", "惠能", "bad")
    assert scores(heed(effect)) == {"惠能": 0.5, "神秀": 0.3, "唐": 0.1}


def test_a_correction_to_another_candidate(effect: FeedbackEffect, say: Say) -> None:
    say("li", "惠能", "bad", "神 秀")  # blanks do not count
    assert scores(heed(effect)) == {"神秀": 0.708, "惠能": 0.208, "唐": 0.042}


def test_a_correction_that_no_triple_has_becomes_a_candidate_without_evidence(effect, say) -> None:
    say("li", "惠能", "bad", "法海")
    assert scores(heed(effect)) == {"惠能": 0.319, "法海": 0.362, "神秀": 0.191, "唐": 0.064}
    assert heed(effect).candidates[0] == Candidate("法海", pytest.approx(0.1 * RATIO / (1 + 0.1 * RATIO)), ())


def test_a_correction_that_a_triple_has_rests_on_it(effect: FeedbackEffect, say: Say) -> None:
    say("li", "惠能", "bad", "唐")
    heeded = effect.heed(QUESTION, WEAK[:2], [BOOK], TRIPLES)
    tang = next(c for c in heeded.candidates if c.answer == "唐")
    assert tang.evidence == (TRIPLES[2],)
    assert tang.score == pytest.approx(0.2 * RATIO / (0.5 + 0.3 + 0.2 + 0.2 * RATIO))


@pytest.mark.parametrize("told_from", [0.15, 0.9])
def test_a_correction_that_a_triple_has_weighs_no_less_than_one_that_none_has(store, say, told_from: float) -> None:
    effect = FeedbackEffect(store, told_from)
    say("li", "惠能", "bad", "唐")
    for found in (candidates(0.5, 0.3, 0.001), candidates(0.5, 0.3)):
        stated = effect.heed(QUESTION, found, [BOOK], TRIPLES).candidates[0]
        made_up = effect.heed(QUESTION, found[:2], [BOOK], []).candidates[0]
        assert (stated.answer, made_up.answer) == ("唐", "唐")
        assert (stated.evidence, made_up.evidence) == ((TRIPLES[2],), ())
        assert stated.score == pytest.approx(made_up.score, abs=1e-3)


def test_unknown_speaks_for_silence(effect: FeedbackEffect, say: Say) -> None:
    say("li", "惠能", "unknown")
    heeded = heed(effect)
    assert heeded.missing == pytest.approx(0.1 * RATIO / (0.9 + 0.1 * RATIO))
    assert scores(heeded) == {"惠能": 0.341, "神秀": 0.205, "唐": 0.068}
    say("li", "惠能", "good")  # the same person thinks again
    assert scores(heed(effect))["惠能"] == 0.85


def test_where_the_agent_is_silent_a_correction_is_as_sure_as_people_are(effect, store) -> None:
    add(store, "li", None, "bad", "惠能", found=())
    assert effect.heed(QUESTION, [], [], []).candidates == [Candidate("惠能", pytest.approx(0.85), ())]


@pytest.mark.parametrize(("people", "answer"), [(2, "惠能"), (3, "神秀")])
def test_a_strong_answer_gives_way_to_several_people_only(effect, say, people: int, answer: str) -> None:
    for number in range(people):
        say(f"person {number}", "惠能", "bad", "神秀", STRONG)
    assert first(heed(effect, STRONG)) == answer  # 97 is between 5.67 ** 2 and 5.67 ** 3


def test_a_minority_does_not_bring_down_an_answer(effect: FeedbackEffect, say: Say) -> None:
    for number in range(4):
        say(f"friend {number}", "惠能", "good")
    for number in range(3):
        say(f"foe {number}", "惠能", "bad", "神秀")
    assert first(heed(effect)) == "惠能"
    say("foe 3", "惠能", "bad", "神秀")
    assert first(heed(effect)) == "惠能"  # as many
    say("foe 4", "惠能", "bad", "神秀")
    assert first(heed(effect)) == "神秀"


def test_one_person_counts_once_however_often_they_say_it(effect: FeedbackEffect, say: Say) -> None:
    for _ in range(50):
        say("foe", "惠能", "bad", "法海", STRONG)
        say("foe", "惠能", "bad", "神秀", STRONG)
    # 神秀 begins as "none of these".
    assert scores(heed(effect, STRONG))["惠能"] == round(0.97 / (0.99 + 0.015 * RATIO), 3)


def test_undone_feedback_counts_no_longer(effect: FeedbackEffect, say: Say, store: FeedbackStore) -> None:
    number = say("li", "惠能", "bad", "神秀")
    assert first(heed(effect)) == "神秀"
    store.undo(number)
    assert heed(effect) == (WEAK, None, False)


def test_undoing_the_last_word_brings_back_the_one_before(effect, say, store) -> None:
    say("li", "惠能", "bad")
    number = say("li", "惠能", "good")
    store.undo(number)
    assert first(heed(effect)) == "神秀"


def test_stores_do_not_know_of_each_other(effect: FeedbackEffect, say: Say, tmp_path: Path) -> None:
    say("li", "惠能", "bad")
    with FeedbackStore(tmp_path / "other.sqlite") as other:
        assert heed(FeedbackEffect(other, 0.15)) == (WEAK, None, False)


def test_the_same_question_in_other_punctuation(effect: FeedbackEffect, say: Say) -> None:
    say("li", "惠能", "bad")
    assert first(heed(effect, question="《坛经》 是谁写的")) == "神秀"
    assert first(heed(effect, question="坛经的作者是谁")) == "惠能"


def test_feedback_from_another_connection_counts_at_once(effect: FeedbackEffect, say: Say, store) -> None:
    assert first(heed(effect)) == "惠能"
    with FeedbackStore(store.path) as other:
        add(other, "li", "惠能", "bad")
    assert first(heed(effect)) == "神秀"


def test_values_that_are_meant_together_are_judged_together(effect: FeedbackEffect, store: FeedbackStore) -> None:
    found = candidates(0.9, 0.9, 0.02)
    shown = Shown(tuple(found), (BOOK,), ("惠能", "神秀"), "问", System("none", None, None))
    store.add(Feedback(QUESTION, "惠能", "bad"), shown, "li")
    heeded = effect.heed(QUESTION, found, [BOOK], TRIPLES, meant=("惠能", "神秀"))
    whole = 0.9 / RATIO + 0.02 + 0.08
    assert scores(heeded) == {"惠能": round(0.9 / RATIO / whole, 3), "神秀": 0.614, "唐": 0.077}


def test_similar_questions_count_weaker_and_for_the_attribute(effect: FeedbackEffect, say: Say) -> None:
    book = Triple(9, "论语", "译者", "孔子", 2)
    mention = EntityMention("论语", 0, 2, (Entity(2, "论语"),))
    wrong = Triple(10, "论语", "作者", "曾子", 2)
    found = [Candidate("曾子", 0.5, (wrong,)), Candidate("孔子", 0.4, (book,))]
    say("li", "曾子", "bad", "孔子", found, question="论语是谁写的？", mention=mention)
    whole = 0.5 / RATIO**0.5 + 0.3 * RATIO**0.5 + 0.2
    assert scores(heed(effect)) == {
        "神秀": round(0.3 * RATIO**0.5 / whole, 3),  # 译者
        "惠能": round(0.5 / RATIO**0.5 / whole, 3),  # 作者
        "唐": round(0.1 / whole, 3),
    }
    for number in range(30):  # all people together count as one stance
        say(f"person {number}", "曾子", "bad", "孔子", found, question="论语是谁写的？", mention=mention)
    assert first(heed(effect, candidates(0.97, 0.03))) == "惠能"
    assert first(heed(effect, candidates(0.9, 0.05))) == "神秀"
    assert heed(effect, question="坛经是哪朝的？") == (WEAK, None, False)


def test_what_people_say_of_the_question_itself_goes_before_similar_ones(effect: FeedbackEffect, say: Say) -> None:
    test_similar_questions_count_weaker_and_for_the_attribute(effect, say)
    say("li", "惠能", "good")
    assert scores(heed(effect))["惠能"] == 0.85


def test_a_person_counts_once_for_an_attribute() -> None:
    votes = AttributeVotes()
    for number in range(9):
        votes.put("li", f"question {number}", [Lesson("_的作者是谁", "作者", 1)])
    votes.put("li", "question 9", [Lesson("_的作者是谁", "作者", -1)])
    assert votes.count("_的作者是谁", ["作者", "译者"], besides="") == {"作者": pytest.approx(0.8)}
    votes.put("wang", "question 1", [Lesson("_的作者是谁", "作者", 1)])
    assert votes.count("_的作者是谁", ["作者"], besides="") == {"作者": pytest.approx(1.8)}
    votes.put("wang", "question 1", [])
    assert votes.count("_的作者是谁", ["作者"], besides="question 9") == {"作者": pytest.approx(1.0)}
    assert votes.count("_在哪个国家", ["作者"], besides="") == {}


def judged(rating: Rating, *values: str, correction: str | None = None) -> Judgement:
    return Judgement(1, "li", QUESTION, rating, values, correction, "_是谁写的", "作者", "译者" if correction else None)


def test_the_latest_word_of_a_person_counts() -> None:
    good, bad = judged("good", "甲"), judged("bad", "甲")
    assert stance_of([good, bad]) == Stance(None, frozenset({"甲"}))
    assert stance_of([bad, good]) == Stance(("甲",))
    assert stance_of([bad, judged("bad", "乙")]) == Stance(None, frozenset({"甲", "乙"}))
    assert stance_of([bad, judged("good", "乙")]) == Stance(("乙",), frozenset({"甲"}))
    assert stance_of([judged("bad", "甲", correction="乙"), judged("bad", "乙")]).right is None
    assert stance_of([good, judged("unknown", "乙")]) == Stance((), frozenset({"乙"}))


def test_lessons() -> None:
    assert lessons_of(judged("good", "甲")) == [("_是谁写的", "作者", 1)]
    assert lessons_of(judged("bad", "甲")) == [("_是谁写的", "作者", -1)]
    assert lessons_of(judged("bad", "甲", correction="乙")) == [("_是谁写的", "译者", 1), ("_是谁写的", "作者", -1)]
    assert lessons_of(judged("unknown", "甲")) == []


SAYINGS = st.sampled_from(
    [("good", None), ("bad", None), ("bad", "神秀"), ("bad", "唐"), ("bad", "法海"), ("unknown", None)]
)
PRIORS = st.lists(st.floats(0.001, 1), min_size=4, max_size=4).map(lambda ws: [w / sum(ws) for w in ws][:3])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(prior=PRIORS, sayings=st.lists(st.tuples(st.sampled_from("abcdefg"), SAYINGS), max_size=12))
def test_no_minority_changes_the_answer(tmp_path_factory, prior: list[float], sayings: list) -> None:
    found = sorted(candidates(*prior), key=lambda c: -c.score)
    latest = {}
    with FeedbackStore(tmp_path_factory.mktemp("rule") / "f.sqlite") as store:
        for user, (rating, correction) in sayings:
            answer = found[0].answer
            says = ("good", None) if correction == answer else (rating, correction)
            add(store, user, answer, *says, found)
            latest[user] = says[0]
        effect = FeedbackEffect(store, told_from=0.15)
        heeded = heed(effect, found)
        again = heed(FeedbackEffect(store, told_from=0.15), found)
    assert heeded == again
    total = sum(c.score for c in heeded.candidates) + (heeded.missing if latest else 1 - sum(prior))
    assert total == pytest.approx(1.0, abs=1e-6)
    assert all(0 <= c.score <= 1 for c in heeded.candidates)
    against = sum(rating != "good" for rating in latest.values())
    told = found[0].score >= 0.15
    if told and against <= len(latest) - against:
        assert first(heeded) == found[0].answer


def test_questions_that_nobody_judged_take_no_memory(store: FeedbackStore, say: Say) -> None:
    say("li", "惠能", "good")
    memory = FeedbackMemory(store)
    memory.refresh()
    kept = len(pickle.dumps(vars(memory) | {"_store": None}))
    assert not any(memory.stances(f"第{number}个问题") for number in range(1000))
    assert len(pickle.dumps(vars(memory) | {"_store": None})) == kept


@settings(max_examples=30, deadline=None)
@given(st.permutations([("a", "good"), ("b", "bad"), ("c", "unknown"), ("d", "bad")]))
def test_the_order_in_which_people_speak_does_not_matter(tmp_path_factory, sayings: list[tuple[str, Rating]]) -> None:
    with FeedbackStore(tmp_path_factory.mktemp("order") / "f.sqlite") as store:
        for user, rating in sayings:
            add(store, user, "惠能", rating)
        memory = FeedbackMemory(store)
        memory.refresh()
        assert sum(memory.stances("坛经是谁写的").values()) == 4
        assert scores(heed(FeedbackEffect(store, 0.15))) == {"神秀": 0.284, "唐": 0.095, "惠能": 0.084}


def test_what_came_bit_by_bit_counts_as_what_is_read_at_once(store: FeedbackStore, say: Say) -> None:
    grown = FeedbackMemory(store)
    key = question_key(QUESTION)
    words = [("惠能", "good", None), ("惠能", "bad", None), ("神秀", "bad", "惠能"), ("唐", "unknown", None)]
    given = []
    for number in range(24):
        answer, rating, correction = words[(number * 7 + number // 4) % 4]
        given.append(say(f"user {number % 2}", answer, rating, correction))
        if number % 3 == 2:
            store.undo(given[number // 2], "li")
        grown.refresh()
        at_once = FeedbackMemory(store)
        at_once.refresh()
        assert grown.stances(key) == at_once.stances(key)
        assert grown.attributes("《坛经》", ["作者", "译者", "朝代"], "") == at_once.attributes(
            "《坛经》", ["作者", "译者", "朝代"], ""
        )
