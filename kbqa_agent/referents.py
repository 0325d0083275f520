"""What a dialogue has talked about, and so what a pronoun or a question without a name may mean.

Each turn leaves the entity that it asked about, its answer, if that is an entity too, and those that a chain of facts
came through. Nothing here knows how questions are worded; `follow_ups.py` says how likely each is meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Literal, NamedTuple

from kb_index.knowledge_base import KnowledgeBase
from kb_index.normalize import QUOTES, normalize_attribute, normalize_name
from kb_index.types import Triple
from kbqa_agent.spans import name_spans
from kbqa_agent.types import Answer, EntityMention, Turn

__all__ = ["FEMALE_KIN", "MALE_KIN", "Gender", "Referent", "Sort", "referents", "topic_mention"]

Sort = Literal["person", "place", "thing"]
Gender = Literal["female", "male"]

LONGEST_NAME = 40
MOST_HOMONYMS = 20
NO_NAME = re.compile(r"[\d\s.,:：/年月日%-]+|未知|不详|不明|[暂]?无|[是否]")
"""An answer such as 1980年 is the name of some entity too, but nobody goes on to ask about it."""
WORD_INSIDE = re.compile(r"[A-Za-z0-9]{2}")
BETWEEN_NAMES = re.compile(r"[、，,;；/]")
OF_PERSONS = frozenset(
    (
        *("性别", "出生日期", "出生年月", "生日", "民族", "职业", "毕业院校", "籍贯", "妻子", "丈夫", "配偶", "字号"),
        *("gender", "sexorgender", "dateofbirth", "occupation", "spouse", "placeofbirth"),
    )
)
OF_PLACES = frozenset(
    (
        *("面积", "人口", "邮政编码", "邮政区码", "电话区号", "行政区类别", "首都", "省会", "纬度", "经度", "气候条件"),
        *("population", "area", "capital", "coordinatelocation", "latitude", "longitude"),
    )
)
GENDER = {"女": "female", "男": "male", "female": "female", "male": "male", "女性": "female", "男性": "male"}
OF_GENDER = ("性别", "gender", "sexorgender")
FEMALE_KIN = re.compile(r"母|妻|女|妈|奶奶|婆|姐|妹|皇后|王后|夫人|太太|\b(?:mother|wife|daughter|sister)\b")
MALE_KIN = re.compile(r"父|丈夫|儿子|[长次三四幼养]子|爸|爷|兄|弟|公公|老公|舅|叔|\b(?:father|husband|son|brother)\b")

WIFE, HUSBAND = re.compile(r"妻|老婆|夫人|太太|皇后|\bwife\b"), re.compile(r"丈夫|老公|驸马|\bhusband\b")


class Referent(NamedTuple):
    """An entity that has been talked about; `name` is what to put into a question, with its quotation marks.

    `entity_id` is None where only the name is known. `asked` is the normalised attribute that an answer is the value
    of. `turns_ago` is 0 for the last turn. `sorts` are those that the knowledge base tells, none where it does not.
    """

    name: str
    entity_id: int | None
    role: Literal["topic", "answer"]
    turns_ago: int
    asked: str = ""
    sorts: frozenset[Sort] = frozenset()
    gender: Gender | None = None
    attributes: frozenset[str] = frozenset()
    """The normalised attributes of the entity, or of all of its name where it is not known by its id."""


def referents(kb: KnowledgeBase, turns: Sequence[Turn]) -> list[Referent]:
    """List what the turns were about, the latest first, each name once."""
    found: dict[str, Referent] = {}
    for turns_ago, turn in enumerate(reversed(turns)):
        for referent in _of_turn(kb, turn, turns_ago):
            found.setdefault(normalize_name(referent.name), referent)
    return [_described(kb, referent) for referent in found.values()]


def topic_mention(turn: Turn) -> EntityMention | None:
    """The mention that names what a turn asked about, with the entities that it may mean: one, where that is sure."""
    answer = turn.answer
    mentions = [m for m in answer.mentions if not _cuts_word(turn.question, m)]
    if not mentions or not answer.candidates or not answer.candidates[0].evidence:
        return next(iter(mentions), None)
    if answer.abstained in ("no_attribute", "no_entity", "low_confidence"):
        placed = [m for span in name_spans(turn.question) for m in mentions if (m.start, m.end) == span]
        return next(iter(placed), mentions[0])
    best = answer.candidates[0].evidence[0]
    for mention in mentions:
        if any(e.id == best.subject_id for e in mention.entities):
            if answer.abstained == "ambiguous":
                return mention
            return replace(mention, entities=tuple(e for e in mention.entities if e.id == best.subject_id))
    asked_of = normalize_name(best.object)  # a reverse question names the object
    return next((m for m in mentions if normalize_name(m.text) == asked_of), mentions[0])


def _cuts_word(question: str, mention: EntityMention) -> bool:
    """Whether a mention begins or ends inside an English word."""
    return any(WORD_INSIDE.fullmatch(question[max(0, at - 1) : at + 1]) for at in (mention.start, mention.end))


def _of_turn(kb: KnowledgeBase, turn: Turn, turns_ago: int) -> Iterator[Referent]:
    mention = topic_mention(turn)
    if mention is not None:
        only = mention.entities[0] if len(mention.entities) == 1 else None
        is_there = only is not None and only in kb.entities([only.id])  # the index may have been built again
        name = _with_marks(turn.question, mention)
        gender = _of_whom(turn.answer)
        yield Referent(name, only.id if only and is_there else None, "topic", turns_ago, gender=gender)
    for name, asked in _answers(turn.answer):
        parts = (name, *BETWEEN_NAMES.split(name)[:1])
        known = next((part for part in parts if _may_be_name(part) and kb.entities_named(part)), None)
        if known is not None:
            yield Referent(known, None, "answer", turns_ago, asked)


def _answers(answer: Answer) -> Iterator[tuple[str, str]]:
    """The answer, and what a chain of facts came through, each with the attribute that it is the value of."""
    if answer.text is None:
        return
    evidence = next((c.evidence for c in answer.candidates if c.answer == answer.text), ())
    yield answer.text, normalize_attribute(evidence[-1].predicate) if evidence else ""
    for before, after in pairwise(evidence):
        if after.subject in before.object:
            yield after.subject, normalize_attribute(before.predicate)


def _of_whom(answer: Answer) -> Gender | None:
    """Of which gender who was asked about is, as a wife or a husband of theirs was found."""
    asked = answer.candidates[0].evidence[0].predicate if answer.candidates and answer.candidates[0].evidence else ""
    if WIFE.search(asked):
        return "male"
    return "female" if HUSBAND.search(asked) else None


def _may_be_name(text: str) -> bool:
    return 0 < len(text) <= LONGEST_NAME and not NO_NAME.fullmatch(text)


def _with_marks(question: str, mention: EntityMention) -> str:
    """The mention's text, with the quotation marks around it in the question."""
    before, after = question[max(0, mention.start - 1) : mention.start], question[mention.end : mention.end + 1]
    return before + mention.text + after if before and QUOTES.get(before) == after else mention.text


def _described(kb: KnowledgeBase, referent: Referent) -> Referent:
    """Add of what sort an entity is, and of which gender, as far as its triples tell."""
    ids = [referent.entity_id] if referent.entity_id is not None else None
    triples = kb.triples_of(ids or [e.id for e in kb.entities_named(referent.name)[:MOST_HOMONYMS]])
    attributes = frozenset(normalize_attribute(t.predicate) for t in triples)
    sorts: set[Sort] = {"person"} if attributes & OF_PERSONS else set()
    sorts |= {"place"} if attributes & OF_PLACES else set()
    if attributes and not sorts:
        sorts = {"thing"}
    gender = _gender(triples, referent.asked) or referent.gender
    return referent._replace(sorts=frozenset(sorts), gender=gender, attributes=attributes)


def _gender(triples: Sequence[Triple], asked: str) -> Gender | None:
    told = {GENDER.get(normalize_name(t.object)) for t in triples if normalize_attribute(t.predicate) in OF_GENDER}
    told.discard(None)
    if len(told) == 1:
        return "female" if "female" in told else "male"
    if FEMALE_KIN.search(asked):
        return "female"
    return "male" if MALE_KIN.search(asked) else None
