"""Which triples of a candidate's evidence people are shown."""

from __future__ import annotations

import pytest

from kb_index.types import Triple
from kbqa_agent.answer_forms import answer_to_text
from kbqa_agent.evidence_paths import path_to
from kbqa_agent.types import Answer, Candidate


def candidate(answer: str, *facts: str) -> Candidate:
    return Candidate(answer, 0.9, tuple(Triple(i, *fact.split("|"), i) for i, fact in enumerate(facts)))


@pytest.mark.parametrize(
    ("answer", "facts", "shown"),
    [
        ("1.90米", ("姚明|妻子|叶莉", "叶莉|身高|1.90米"), 2),
        ("白玉兰", ("姚明|妻子|叶莉", "叶莉|出生地|上海", "上海|市花|白玉兰"), 3),
        ("欧元", ("法国|首都|巴黎", "法国|货币|欧元"), 2),  # 首都是巴黎的国家的货币
        ("废艺斋集稿", ("红楼梦(小说)|作者|曹雪芹", "废艺斋集稿|作者|曹雪芹"), 2),
        ("Duel 2", ("Jaws|director|Spielberg", "Duel|director|Spielberg", "Duel|sequel|Duel 2"), 3),
        ("法国", ("法国|首都|巴黎", "巴黎|国家|法国"), 2),
        ("1950", ("书|作者|李明", "李明(画家)|生年|1950", "李明(教授)|生年|1950"), 2),
        ("Wile Coyote", ("Widget 3000|manufacturer|Acme Corp", "Acme Corp|founders|Wile Coyote"), 2),
        ("1990", ("团|成员|甲、乙、丙", "乙|生年|1990"), 2),
    ],
)
def test_a_chain_is_a_path(answer: str, facts: tuple[str, ...], shown: int) -> None:
    found = candidate(answer, *facts)
    assert path_to(found) == found.evidence[:shown]


@pytest.mark.parametrize(
    ("answer", "facts"),
    [
        ("北京", ("李伟(演员)|出生地|北京", "李伟(教授)|出生地|北京")),
        ("北京", ("李伟|籍贯|北京", "李伟|出生地|北京")),
        ("坛经", ("坛经|作者|惠能", "坛经|口述|惠能")),
        ("日本", ("日本|人口|126", "法国|人口|66")),
        ("2", ("坛经|作者|惠能", "语录|作者|惠能")),
        ("是", ("法国|首都|巴黎", "巴黎|国家|法国")),
        ("惠能", ("坛经|作者|惠能",)),
    ],
)
def test_of_facts_that_agree_or_are_counted_the_first_is_shown(answer: str, facts: tuple[str, ...]) -> None:
    found = candidate(answer, *facts)
    assert path_to(found) == found.evidence[:1]


def test_the_line_of_a_chain() -> None:
    found = candidate("Wile Coyote", "Widget 3000|manufacturer|Acme Corp", "Acme Corp|founder|Wile Coyote")
    assert answer_to_text(Answer("who?", "Wile Coyote", 0.9, None, (found,), ())).splitlines() == [
        "Wile Coyote  (90%)",
        "  90.0%  Widget 3000 | manufacturer | Acme Corp -> Acme Corp | founder | Wile Coyote",
    ]
