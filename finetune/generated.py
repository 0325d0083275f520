"""Questions generated from any knowledge base's triples, to train a ranker or an adapter where nobody has asked yet.

What it does: chooses triples so that no attribute drowns the others, and asks for each with a hand-written template
that fits the kind of entity (guessed from the attributes it has), in a frame such as 请问…. What it does not do: make
up facts; that is `synthetic.py`.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from finetune.question_templates import COMMON, Templates, load_templates
from kb_index.errors import InputError
from kb_index.names import listed_names, naming_predicates
from kb_index.normalize import normalize_attribute, strip_description
from kb_index.types import Triple
from kbqa_agent.types import QAExample

__all__ = ["plain_attribute", "plain_name", "questions_from_triples", "value_type"]

MAX_OBJECT_CHARS = 200
MAX_NAME_CHARS = 40
MAX_ATTRIBUTE_CHARS = 16
GENERIC_SHARE = 0.3
"""Share of the questions that name their attribute with a generic template although a specific one is there."""
PLAIN_SHARE = 0.5
"""Share of the questions without a frame such as 请问…, with or without a question mark."""
HINT_SHARE = 0.1
"""Share of the questions that say a short description before the name: 美国州佐治亚 for 佐治亚(美国州)."""
CALLED_SHARE = 0.3
"""Share of the questions, about entities that have other names, which use one of them."""
FULL_SHARE = 0.05
"""Share of the questions, about described entities, that give the name with its bracketed description."""

_MARKS = re.compile(r"\[\d*\]|[\s\u3000:：·]+")
_NUMBER = re.compile(r"^[约近超共第]{0,2}[-+]?[\d０-９][\d,，.]*\s*\D{0,12}$")
_TIME = re.compile(r"^(公元)?前?\d{1,4}(年|[-./]\d{1,2}[-./]\d{1,2}$)")
_ENDINGS = {
    "time": ("时间", "日期", "年月", "年份", "年代", "日"),
    "person": (
        *("者", "人", "师", "演员", "导演", "编剧", "长", "手", "教练", "作家", "儿子", "孙子", "长子"),
        *"友父母女妻夫哥弟姐妹婿",
    ),
    "place": ("地", "地点", "地区", "位置", "城市", "地址", "国家", "省份", "所在"),
    "number": ("数", "数量", "率", "面积", "人口", "价格", "长度", "高度", "重量", "编号", "代码", "号"),
}


class _Choice(NamedTuple):
    """A triple to ask about, what its subject is called, and all objects of its subject and attribute.

    `called` are the subject's other names, as its naming attributes state them.
    """

    triple: Triple
    name: str
    called: tuple[str, ...]
    description: str
    attribute: str
    attributes: frozenset[str]
    answers: tuple[str, ...]


def plain_name(subject: str) -> str:
    """Return what people call an entity: its name without the bracketed description and without quotation marks.

    >>> plain_name("机械设计基础(2010年高等教育出版社出版作者杨可桢)")
    '机械设计基础'
    >>> plain_name("《坛经》")
    '坛经'
    """
    return strip_description(subject)[0]


def plain_attribute(predicate: str) -> str:
    """Return an attribute's name without blanks and footnote marks, in the letters that a question would use.

    `normalize_attribute` is not it: that form, made to be compared, has small letters only and no marks inside.

    >>> plain_attribute("民 族"), plain_attribute("职 业[1]"), plain_attribute("ISBN")
    ('民族', '职业', 'ISBN')
    """
    return _MARKS.sub("", predicate)


def value_type(attribute: str, value: str) -> str:
    """Guess the type of a value, which decides the question word: time, number, person, place or thing.

    >>> value_type("成立时间", "1971年6月"), value_type("人口", "约30万人"), value_type("负责人", "王明")
    ('time', 'number', 'person')
    """
    if _TIME.match(value) or attribute.endswith(_ENDINGS["time"]):
        return "time"
    if _NUMBER.match(value) or attribute.endswith(_ENDINGS["number"]):
        return "number"
    if any(c.isdigit() for c in value):
        return "thing"
    return next((kind for kind in ("person", "place") if attribute.endswith(_ENDINGS[kind])), "thing")


def questions_from_triples(triples: Sequence[Triple], n: int, seed: int) -> list[QAExample]:
    """Ask `n` different questions about the triples; fewer where the triples do not give as many.

    An attribute is drawn with the square root of its frequency, so that rare ones are asked too. The question names the
    subject, mostly without its bracketed description, sometimes by another of its names; the gold answers are all
    objects of that subject and attribute. The same triples, `n` and `seed` give the same questions.

    Raises:
        InputError: `n` is negative.
    """
    if n < 0:
        raise InputError(f"n={n} questions: expected 0 or more")
    rng, templates = random.Random(seed), load_templates()
    examples: dict[str, QAExample] = {}
    choices = _choices(triples, rng)
    for _, choice in zip(range(20 * n), choices, strict=False):
        if len(examples) == n:
            break
        question = _frame(_ask(choice, templates, rng), templates, rng)
        triple = (choice.triple.subject, choice.triple.predicate, choice.triple.object)
        examples.setdefault(question, QAExample(f"g{len(examples)}", question, choice.answers, triple))
    return list(examples.values())


def _choices(triples: Sequence[Triple], rng: random.Random) -> Iterator[_Choice]:
    """Draw triples for ever (none if none can be asked), each once before any is drawn again for its attribute."""
    by_subject: dict[int, list[Triple]] = defaultdict(list)
    pools: dict[str, list[Triple]] = defaultdict(list)
    for triple in triples:
        by_subject[triple.subject_id].append(triple)
        if _askable(triple):
            pools[plain_attribute(triple.predicate)].append(triple)
    attributes = sorted(pools)
    weights = [len(pools[attribute]) ** 0.5 for attribute in attributes]
    left: dict[str, list[Triple]] = {}
    while attributes:
        for attribute in rng.choices(attributes, weights, k=1024):
            if not left.get(attribute):
                left[attribute] = rng.sample(pools[attribute], len(pools[attribute]))
            triple = left[attribute].pop()
            yield _choice(triple, attribute, by_subject[triple.subject_id])


def _askable(triple: Triple) -> bool:
    name, attribute = plain_name(triple.subject), plain_attribute(triple.predicate)
    return (
        0 < len(name) <= MAX_NAME_CHARS
        and 0 < len(attribute) <= MAX_ATTRIBUTE_CHARS
        and 0 < len(triple.object) <= MAX_OBJECT_CHARS
        and plain_name(triple.object) != name
    )


def _choice(triple: Triple, attribute: str, siblings: Sequence[Triple]) -> _Choice:
    name, description = strip_description(triple.subject)
    return _Choice(
        triple=triple,
        name=name,
        called=_other_names(triple, name, siblings),
        description=description,
        attribute=attribute,
        attributes=frozenset(plain_attribute(t.predicate) for t in siblings),
        answers=tuple(dict.fromkeys(t.object for t in siblings if t.predicate == triple.predicate)),
    )


def _other_names(asked: Triple, name: str, siblings: Sequence[Triple]) -> tuple[str, ...]:
    """What else the subject is called, but for names that are the answer."""
    naming = set(naming_predicates(dict.fromkeys(t.predicate for t in siblings)))
    values = [t.object for t in siblings if t.predicate in naming and len(t.object) <= MAX_NAME_CHARS]
    names = dict.fromkeys(part.strip() for value in values for part in listed_names(value))
    attribute = normalize_attribute(asked.predicate)
    said = {plain_name(t.object) for t in siblings if normalize_attribute(t.predicate) == attribute}
    return tuple(n for n in names if len(n) > 1 and plain_name(n) not in (name, *said))


def _ask(choice: _Choice, templates: Templates, rng: random.Random) -> str:
    overlaps = {
        name: len(choice.attributes & kind.questions.keys()) for name, kind in templates.kinds.items() if name != COMMON
    }
    best = max(overlaps.values())
    # An attribute that several kinds share (类型) takes the templates of the kinds that the entity may well be of.
    fitting = [name for name in overlaps if best and 2 * overlaps[name] >= best]
    specific = [
        (name, question)
        for name in [*fitting, COMMON]
        for question in templates.kinds[name].questions.get(choice.attribute, ())
    ]
    likeliest = next((name for name in fitting if overlaps[name] == best), COMMON)
    if specific and rng.random() >= GENERIC_SHARE:
        kind, question = rng.choice(specific)
    else:
        kind, question = COMMON, rng.choice(templates.generic[value_type(choice.attribute, choice.triple.object)])
    mention = rng.choice(templates.kinds[likeliest if kind == COMMON else kind].mentions)
    said = mention.replace("{s}", _said_name(choice, rng))
    if 0 < len(choice.description) <= 10 and choice.description.isalpha() and rng.random() < HINT_SHARE:
        said = choice.description + said
    return question.replace("{p}", choice.attribute).replace("{s}", said)


def _said_name(choice: _Choice, rng: random.Random) -> str:
    if choice.called and rng.random() < CALLED_SHARE:
        return rng.choice(choice.called)
    if choice.description and rng.random() < FULL_SHARE:
        return choice.triple.subject
    return choice.name


def _frame(question: str, templates: Templates, rng: random.Random) -> str:
    if question.endswith(("？", "。", "?")):
        return question
    if rng.random() < PLAIN_SHARE:
        return question + rng.choice(("？", "？", "?", ""))
    return rng.choice(templates.frames).replace("{q}", question)
