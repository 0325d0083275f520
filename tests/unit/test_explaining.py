"""What is said of an answer, by what it holds; the ranker's reasons are in the integration tests."""

import pytest

from kb_index.types import Entity, Triple
from kbqa_agent.explaining import MEANING, Explanation, Reason
from kbqa_agent.features import feature_names
from kbqa_agent.types import Answer, Candidate, EntityMention

PARIS = Candidate("巴黎", 0.9, (Triple(1, "法国", "首都", "巴黎", 0),))
LYON = Candidate("里昂", 0.05, (Triple(2, "法国", "第二大城市", "里昂", 0),))
ZH, EN = "法国的首都是哪里？", "What is the capital of France?"


def answer(question, text="巴黎", abstained=None, candidates=(PARIS, LYON), **more):
    confidence = candidates[0].score if candidates else 0.0
    return Answer(question, text, confidence, abstained, candidates, (), **more)


def test_an_answer_is_told_with_its_triple_and_what_comes_next():
    assert answer(ZH).explain() == Explanation(
        ZH,
        "答案是“巴黎”（把握 90%），因为知识库里有：法国 | 首都 | 巴黎。其次是“里昂”（5%）：法国 | 第二大城市 | 里昂。",
        PARIS.evidence,
    )
    assert answer(EN, candidates=(PARIS,)).explain().sentence == (
        "The answer is “巴黎” (90% sure), since the knowledge base says: 法国 | 首都 | 巴黎."
    )


def test_shares_are_rounded_as_the_page_does_and_what_has_none_is_left_out():
    sure, slight = Candidate("巴黎", 0.998, PARIS.evidence), Candidate("里昂", 0.0049, LYON.evidence)
    assert (
        answer(ZH, candidates=(sure, slight)).explain().sentence
        == "答案是“巴黎”（把握 99.8%），因为知识库里有：法国 | 首都 | 巴黎。"
    )
    assert answer(EN, None, "no_attribute", (slight,)).explain().sentence == (
        "No answer: the knowledge base does not say."
    )


def test_of_homonyms_each_is_told_and_none_has_a_share():
    triples = [Triple(n, f"王芳({what})", "职业", what, n) for n, what in enumerate(("演员", "医生", "画家", "记者"))]
    mention = EntityMention("王芳", 0, 2, tuple(Entity(t.subject_id, t.subject) for t in triples))
    found = tuple(Candidate(t.object, 0.24, (t,)) for t in triples)
    asked = Answer("王芳的职业是什么？", None, 0.24, "ambiguous", found, (mention,))
    assert asked.explain().sentence == (
        "没有回答：几个同名的实体都符合：王芳(演员) | 职业 | 演员; 王芳(医生) | 职业 | 医生; "
        "王芳(画家) | 职业 | 画家等 4 个。"
    )


def test_values_that_are_meant_together_are_no_rivals():
    both = answer(ZH, candidates=(PARIS, LYON), values=("巴黎", "里昂"))
    assert both.explain().sentence == "答案是“巴黎”“里昂”（把握 90%），因为知识库里有：法国 | 首都 | 巴黎。"
    many = answer(EN, candidates=(PARIS,), values=tuple("甲乙丙丁戊己庚"))
    assert "“甲”, “乙”, “丙”, “丁”, “戊” and others, 7 in all (90% sure)" in many.explain().sentence


@pytest.mark.parametrize(
    ("reason", "chinese", "english"),
    [
        ("no_attribute", "没有回答：知识库里没有所问的内容。", "No answer: the knowledge base does not say."),
        ("low_confidence", "没有回答：没有足够可信的答案。", "No answer: nothing is likely enough to be said."),
    ],
)
def test_silence_is_told_with_its_reason_and_what_is_nearest(reason, chinese, english):
    told = answer(ZH, None, reason, (PARIS,)).explain().sentence
    assert told == chinese + "最接近的是（90%）：法国 | 首都 | 巴黎。"
    assert answer(EN, None, reason, ()).explain().sentence == english
    assert answer(EN, None, reason, ()).explain().evidence == ()


def test_what_no_triple_backs_is_told():
    assert (
        answer(ZH, "马赛", supported=False)
        .explain()
        .sentence.startswith("“马赛”是生成模型自己写的，知识库里没有依据。")
    )
    assert answer(ZH, "马赛", supported=False).explain().evidence == ()


def test_a_text_that_is_not_the_first_candidate_is_told_with_its_own_triple():
    written = answer(ZH, "里昂")
    assert written.told == LYON
    assert written.explain().evidence == LYON.evidence
    assert written.explain().sentence == (
        "答案是“里昂”（把握 90%），因为知识库里有：法国 | 第二大城市 | 里昂。其次是“巴黎”（90%）：法国 | 首都 | 巴黎。"
    )


def test_beside_a_text_of_the_generators_own_the_first_candidate_comes_next():
    own = answer(ZH, "马赛", supported=False)
    assert own.told is None
    assert own.explain().sentence == (
        "“马赛”是生成模型自己写的，知识库里没有依据。其次是“巴黎”（90%）：法国 | 首都 | 巴黎。"
    )


@pytest.mark.parametrize(
    ("question", "is_chinese"),
    [
        ("iPhone 6s plus 的屏幕多大", True),
        ("What is the 首都 of 法国?", False),
        ("Who的成员有谁", True),
        ("1+1=?", False),
    ],
)
def test_the_language_is_that_of_the_question(question, is_chinese):
    assert answer(question).explain().sentence.startswith("答案是" if is_chinese else "The answer is")


def test_reasons_are_lines_after_the_sentence():
    reasons = (Reason("how people ask for this attribute", 2.34, ("gain_sum", "gain_max", "gain_whole", "asked")),)
    assert str(Explanation(EN, "It is so.", (), "ranker", reasons)).splitlines() == [
        "It is so.",
        "What put it first, in points of the ranker's score:",
        "  +2.3  how people ask for this attribute  [gain_sum, gain_max, gain_whole]",
    ]


def test_every_feature_of_the_ranker_means_something_to_people():
    plain = {
        name.removesuffix("_off_best").removesuffix("_off_mention").removesuffix("_off_entity") for name in names()
    }
    assert plain == set(MEANING)


def names():
    return feature_names(similarity=True)
