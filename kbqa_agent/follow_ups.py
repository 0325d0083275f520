"""A follow-up question -> the whole questions that it may mean, each with how plainly it is worded so.

People leave out what was just said: 他的妻子是谁, 那出版社呢, 那李白呢, 多高, 不是，我问的是2010年那本, 回到刚才那本书.
All readings that the wording allows are made here; the agent asks them all, and takes the one whose answer is
likeliest. So the knowledge base decides what the wording leaves open: 他的妻子是谁 after a book is about its author.

The weights are what a wording alone tells; they were set on dialogues that are not those of the test.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from kb_index.knowledge_base import KnowledgeBase
from kb_index.normalize import QUOTES, normalize_name
from kb_index.types import Triple
from kbqa_agent.anaphora import Anaphor, find, role_at_start, substituted
from kbqa_agent.choosing import by_description, by_number
from kbqa_agent.follow_up_words import (
    ASKING,
    BACK,
    CORRECTION,
    DESCRIBED,
    EARLIER,
    FIRST,
    HAN,
    LESS,
    MORE,
    NOT_BUT,
    OPENING,
    PARTICLES,
    REPLY,
    SMALL_TALK,
    STARTS_VERBAL,
)
from kbqa_agent.linking import link
from kbqa_agent.pointing import DECAY, MOST_OLDER, OTHER_SORT, UNLIKELY, fit, weighed
from kbqa_agent.referents import Referent, referents, topic_mention
from kbqa_agent.silence import choices_of
from kbqa_agent.spans import name_spans
from kbqa_agent.types import Turn

__all__ = ["Reading", "readings"]

STANDING, SAID_PLAINLY = 1.0, 1.0
HELD_BACK = 0.1
"""A question that points back, or leaves out its matter, hardly means what it says as it stands."""
NAMELESS = 0.7
"""A question without a name of its own, 多高 or 是哪年出版的, is one about what was talked about."""
CORRECTED = 0.9
SELF = re.compile(r"(?:本人|自己|[他她它](?=们?的?))")
WHO_IT_IS = re.compile(r"(?:是|都|有|叫|又|的)*(?:谁|哪位|哪个|哪些|哪几位|什么(?:名字)?|啥)?[呢啊呀吗的?？\s]*")
"""What may stand after a name that is said again: 姚明他妻子, 姚明本人."""
WORD = re.compile(r"[^\W\d_]{3,}")
MOST_TURNS = 12
LONGEST_FOLLOW_UP = 200
LONGEST_ELLIPSIS, SHORT, LONGEST_PART = 30, 12, 6
MARKS = "".join((*QUOTES, *QUOTES.values()))


class Reading(NamedTuple):
    """A whole question that a follow-up may mean, and how plainly; `entity_id` is who its name means, where known."""

    question: str
    weight: float
    entity_id: int | None = None


class _Context(NamedTuple):
    """What a follow-up is read in: the turns, and what they were about."""

    kb: KnowledgeBase
    turns: Sequence[Turn]
    known: Sequence[Referent]
    said: Sequence[str]
    """The attributes that answers were the values of, and the last question: words that may be pointed back with."""

    @property
    def last(self) -> Turn:
        return self.turns[-1]


def readings(kb: KnowledgeBase, turns: Sequence[Turn], question: str) -> list[Reading]:
    """List the readings of a question after these turns, the one as it stands among them; each once."""
    if not turns or len(question) > LONGEST_FOLLOW_UP or SMALL_TALK.fullmatch(question.strip()):
        return [Reading(question, STANDING)]
    found: dict[tuple[str, int | None], Reading] = {}
    for reading in _all(kb, turns, question):
        key = (reading.question, reading.entity_id)
        if key not in found or found[key].weight < reading.weight:
            found[key] = reading
    return list(found.values())


def _all(kb: KnowledgeBase, turns: Sequence[Turn], question: str) -> Iterator[Reading]:
    """The reply to a question that was asked back, or else a correction, a step back, and what else is left out."""
    asked = _after(OPENING, question.strip())
    if turns[-1].answer.abstained == "ambiguous":
        chosen = list(_chosen(kb, turns[-1], asked))
        if not ASKING.search(asked):
            yield from chosen or [Reading(turns[-1].question, STANDING)]  # asked once more
            if chosen or not _leaves_out(kb, asked):
                return
        yield from (r._replace(weight=UNLIKELY) for r in chosen)  # a text that asks is rather a new question
    known = referents(kb, turns[-MOST_TURNS:])
    said = [*(r.asked for r in known if r.asked), turns[-1].question]
    context = _Context(kb, turns, known, said)
    if CORRECTION.fullmatch(asked) or NOT_BUT.fullmatch(asked):
        yield from _corrected(context, asked)
        yield Reading(question, HELD_BACK)
        return
    yield from _back(context, asked)
    yield from _plain(context, asked)


def _chosen(kb: KnowledgeBase, last: Turn, reply: str) -> Iterator[Reading]:
    """The question that was asked back, with the entity that the reply picks; nothing where it picks none."""
    listed = [_still_there(kb, choice.triple) for choice in choices_of(last.answer)]
    number = by_number(reply, len(listed))
    if number is not None:
        yield Reading(last.question, SAID_PLAINLY, listed[number])
    else:
        yield from _described(kb, last, _told(reply), [i for i in listed if i is not None])


def _still_there(kb: KnowledgeBase, triple: Triple) -> int | None:
    """The id of a triple's subject, by its name where the index has been built again since; None if it is gone."""
    if any(e.name == triple.subject for e in kb.entities([triple.subject_id])):
        return triple.subject_id
    return next((e.id for e in kb.entities_named(triple.subject) if e.name == triple.subject), None)


def _described(kb: KnowledgeBase, last: Turn, told: str, entity_ids: Sequence[int]) -> Iterator[Reading]:
    """The last question about that one of the entities which a text describes, or the other question in that text."""
    picked = by_description(kb, told, entity_ids)
    if picked is not None:
        yield Reading(last.question, SAID_PLAINLY, picked)
        return
    m, mention = DESCRIBED.fullmatch(told), topic_mention(last)
    picked = by_description(kb, m["which"], entity_ids) if m else None
    if m and mention and picked is not None:
        name, rest = mention.text, MORE.sub("", m["rest"].replace(mention.text, "").lstrip("的"))
        if not rest:
            yield Reading(last.question, SAID_PLAINLY, picked)
        else:
            text = f"{name}{rest}" if ASKING.search(rest) else _attribute_of(name, rest)
            yield Reading(text, SAID_PLAINLY, picked)


def _told(text: str) -> str:
    """What a correction or a reply says is meant: 不是A，是B and 我问的是B are B."""
    if m := NOT_BUT.fullmatch(text):
        text = m["rest"] or m["first"]
    m = CORRECTION.fullmatch(text) or REPLY.fullmatch(text)
    return m["rest"] if m else text


def _corrected(context: _Context, question: str) -> Iterator[Reading]:
    """The last question with another homonym, entity or attribute, or the question that a correction spells out."""
    told = _told(question)
    yield from _of_homonym(context, told)
    meant = [*_back(context, told), *_plain(context, told, short=len(told))]
    yield from (r._replace(weight=r.weight * CORRECTED) for r in meant)


def _of_homonym(context: _Context, told: str) -> Iterator[Reading]:
    """The last question about another entity of the name in it, which a text describes."""
    mention = topic_mention(context.last)
    if mention is not None:
        linked = link(context.kb, context.last.question)
        named = dict.fromkeys(e.id for m in linked if m.text == mention.text for e in m.entities)
        yield from _described(context.kb, context.last, told, list(named))


def _back(context: _Context, question: str) -> Iterator[Reading]:
    """回到红楼梦，作者是谁 and 刚才那本书的作者 are about what was talked about before the last turns."""
    told, n_back = BACK.subn("", question, count=1)
    earlier = EARLIER.search(told)
    if earlier is None:
        if n_back:
            yield from _named_again(context, told)
        return
    older = [r for r in context.known if r.turns_ago > 0 or r.role == "answer"]
    if FIRST.search(earlier[0]):
        older.sort(key=lambda r: -r.turns_ago)
    named = [r for r in context.known if normalize_name(r.name.strip(MARKS)) in normalize_name(told)]
    pointing = next(iter(find(earlier[0], context.said)), None)
    for place, referent in enumerate(named or older[:MOST_OLDER]):
        rest = told[: earlier.start()] + told[earlier.end() :].replace(referent.name, "").lstrip("的，, ")
        weight = SAID_PLAINLY * DECAY**place * fit(pointing, referent)
        if rest and MORE.sub("", rest):
            yield _about(context, referent, rest)._replace(weight=weight)
        for reading in _switched(context.turns, referent.name):
            yield reading._replace(weight=weight * UNLIKELY, entity_id=referent.entity_id)


def _named_again(context: _Context, told: str) -> Iterator[Reading]:
    """再说回姚明，他多高 names what it goes back to."""
    told = _after(LESS, told.strip(" ,，").replace(",", "，"))
    named = [r for r in context.known if normalize_name(told).startswith(normalize_name(r.name.strip(MARKS)))]
    if named:
        referent = max(named, key=lambda r: len(r.name))
        rest = told.strip(MARKS)[len(referent.name.strip(MARKS)) :].lstrip(MARKS + "，, 吧的")
    else:
        name, _, rest = (part.strip() for part in told.partition("，"))
        referent = Referent(name.removesuffix(" again").removesuffix("吧"), None, "topic", 0)
    rest = rest.removeprefix("again").lstrip("，, ")
    if rest:
        yield _about(context, referent, rest)
    else:
        yield from _switched(context.turns, referent.name)


def _plain(context: _Context, asked: str, short: int = SHORT) -> Iterator[Reading]:
    """What a question without any word about the dialogue itself may mean.

    One of at most `short` characters that asks nothing is thought to leave out the rest.
    """
    rest = _cut(context.kb, asked)
    if rest != asked and context.kb.attribute_frequency([rest])[0]:  # 那首都呢 has no 那首 in it
        yield from _ellipsis(context, rest)
        return
    if not ASKING.search(asked) and not context.kb.attribute_frequency([rest])[0]:
        yield from _of_homonym(context, asked)
    repeated = [*_repeated(context, asked), *_role_again(context, asked)]
    yield from repeated
    pointing = find(asked, context.said)
    if pointing:
        in_name = _stands_in_name(context.kb, asked, pointing[0])
        for referent, weight in weighed(context.known, context.last, pointing[0]):
            text = substituted(asked, pointing, referent.name)
            share = HELD_BACK if in_name else SAID_PLAINLY
            yield Reading(_whole(text, referent.name), weight * share, referent.entity_id)
        yield Reading(asked, STANDING if in_name else HELD_BACK)
        return
    is_cut = rest != asked or (len(rest) <= short and _may_be_asked(context, rest))
    if rest and is_cut and not ASKING.search(rest) and len(rest) <= LONGEST_ELLIPSIS:
        yield from _ellipsis(context, rest)
        yield Reading(asked, HELD_BACK)
        return
    yield Reading(asked, STANDING)
    if not repeated and not _has_own_name(context, asked):
        for referent, weight in weighed(context.known, context.last, None):
            joined = _joined(referent.name, asked)
            if joined:
                yield Reading(joined, NAMELESS * weight, referent.entity_id)


def _repeated(context: _Context, asked: str) -> Iterator[Reading]:
    """A question that begins with a part of what was said: 弟弟的号 after 苏轼的弟弟是谁, 宝玉娶了谁 after 贾宝玉."""
    for referent in context.known[:MOST_OLDER]:
        full = referent.name.strip(MARKS)
        said = referent.asked if referent.role == "answer" else full
        head = next((asked[:n] for n in range(min(len(said), LONGEST_PART), 1, -1) if asked[:n] in said), "")
        if head and head != full:
            rest = _after(SELF, asked[len(head) :])
            yield Reading(_whole(referent.name + rest, referent.name), SAID_PLAINLY, referent.entity_id)


def _role_again(context: _Context, asked: str) -> Iterator[Reading]:
    """导演本人哪一年出生 after 谁导的: a part that was asked for, and more than who has it."""
    role = role_at_start(asked)
    rest = _after(SELF, asked[len(role) :]).removeprefix("的")
    said = context.last.question + "".join(r.asked for r in context.known if r.turns_ago == 0)
    if role and not WHO_IT_IS.fullmatch(rest) and any(c in said for c in role if c not in "人者家员手师"):
        for referent in context.known:
            if referent.turns_ago == 0 and referent.role == "answer" and "person" in referent.sorts:
                yield Reading(_whole(f"{referent.name}的{rest}", referent.name), SAID_PLAINLY, referent.entity_id)


def _ellipsis(context: _Context, rest: str) -> Iterator[Reading]:
    """那出版社呢 asks for another attribute, 那李白呢 about another entity, 法国的首都 for both."""
    kb, rest = context.kb, rest.removeprefix("的")
    bare = rest.removesuffix("的").removesuffix("'s")
    name, of, attribute = rest.partition("的")
    if of and attribute and kb.entities_named(name):
        yield Reading(_attribute_of(name, attribute), SAID_PLAINLY)
        return
    n_facts, n_named = int(kb.attribute_frequency([rest])[0]), len(kb.entities_named(bare))
    if n_facts or not n_named:
        for referent, weight in weighed(context.known, context.last, None):
            yield Reading(_attribute_of(referent.name, rest), weight, referent.entity_id)
    for reading in _switched(context.turns, bare):
        yield reading._replace(weight=OTHER_SORT if n_facts > n_named else SAID_PLAINLY)


def _switched(turns: Sequence[Turn], name: str) -> Iterator[Reading]:
    """The last question about another entity."""
    for turn in reversed(turns):
        mention = topic_mention(turn)
        if mention is not None:
            question = turn.question[: mention.start] + name.strip(MARKS) + turn.question[mention.end :]
            yield Reading(question, SAID_PLAINLY)
            return


def _about(context: _Context, referent: Referent, rest: str) -> Reading:
    """A clause about one referent."""
    pointing = find(rest, context.said)
    if pointing:
        text = substituted(rest, pointing, referent.name)
    elif ASKING.search(rest):
        text = _joined(referent.name, rest) or rest
    else:
        text = _attribute_of(referent.name, _without_marks(rest))
    return Reading(_whole(text, referent.name), SAID_PLAINLY, referent.entity_id)


def _cut(kb: KnowledgeBase, asked: str) -> str:
    """What is left of a text without the words that show that something is left out: 那出版社呢."""
    rest = MORE.sub("", asked)
    return rest if kb.entities_named(rest) else LESS.sub("", rest)  # 那英 is a name


def _without_marks(text: str) -> str:
    """The same of a text that is no name."""
    return MORE.sub("", LESS.sub("", text))


def _leaves_out(kb: KnowledgeBase, asked: str) -> bool:
    rest = _cut(kb, asked)
    return rest != asked or bool(kb.entities_named(rest)) or bool(kb.attribute_frequency([rest])[0])


def _may_be_asked(context: _Context, text: str) -> bool:
    """Whether a bare text is a name, an attribute, or like one of what was talked about: 邮编 for 邮政编码."""
    kb = context.kb
    if kb.entities_named(text.removesuffix("的")) or kb.attribute_frequency([text])[0] or "的" in text:
        return True
    return any(_alike(text, attribute) for attribute in _attributes_of(context))


def _alike(text: str, attribute: str) -> bool:
    """Whether two texts have a Chinese character in common, or a word of one is the beginning of one of the other's."""
    if set(HAN.findall(text)) & set(HAN.findall(attribute)):
        return True
    words, others = (WORD.findall(t.casefold()) for t in (text, attribute))
    return any(word.startswith(other) or other.startswith(word) for word in words for other in others)


def _has_own_name(context: _Context, question: str) -> bool:
    """Whether a question names something where a name should stand, and no attribute is called so.

    A name that the knowledge base does not know counts too, unless it has to do with what was talked about.
    """
    kb, texts = context.kb, {question[span.start : span.end] for span in name_spans(question)}
    names = [text for text in texts if not kb.attribute_frequency([text])[0]]
    if any(kb.entities_named(text) for text in names):
        return True
    known = "".join(f"|{attribute}" for attribute in _attributes_of(context))
    return any(len(text) > 1 and not STARTS_VERBAL.match(text) and not _pairs(text) & _pairs(known) for text in names)


def _attributes_of(context: _Context) -> set[str]:
    """The attributes of what the last turns were about, as far as it is known by its id."""
    return {a for r in context.known if r.entity_id is not None for a in r.attributes}


def _pairs(text: str) -> set[str]:
    return {text[i : i + 2] for i in range(len(text) - 1)}


def _stands_in_name(kb: KnowledgeBase, question: str, anaphor: Anaphor) -> bool:
    """Whether what seems to point back is a part of a name that begins before it, such as 他 in 犹他州."""
    return any(m.start < anaphor.start and anaphor.end < m.end for m in kb.mentions(question))


def _joined(name: str, rest: str) -> str | None:
    """A question that lacks its subject, with one; None for English, where none is left out."""
    if not HAN.search(rest):
        return None
    return name + rest if STARTS_VERBAL.match(rest) else f"{name}的{rest}"


def _attribute_of(name: str, attribute: str) -> str:
    if HAN.search(attribute):
        return f"{name}的{attribute}是什么？"
    return f"What is the {attribute.removeprefix('the ')} of {name}?"


def _whole(text: str, name: str) -> str:
    """A resolved text as a question, 姚明的妻子呢 as 姚明的妻子是什么？."""
    text = PARTICLES.sub("", _after(OPENING, text))
    rest = _without_marks(text)
    if ASKING.search(rest) or rest == name or not rest.startswith(name):
        return text
    attribute = rest[len(name) :].removeprefix("的").removeprefix("'s").strip()
    return _attribute_of(name, attribute) if attribute else text


def _after(opening: re.Pattern[str], text: str) -> str:
    """The text without its opening, unless that is all of it."""
    m = opening.match(text)
    return text[m.end() :] if m and m.end() < len(text) else text
