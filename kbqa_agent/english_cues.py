"""English wording -> cues: which words of a question name an attribute, a work, or that something is shared.

An attribute's name and a question use other forms of the same words (written by, writer, wrote), and sometimes other
words (genre, kind). The table below brings both to one form; words that are not in it stand for themselves.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

__all__ = ["Cue", "Wanted", "cues", "is_english", "is_known", "is_personal", "meanings_of", "wanted"]

_SAME_MEANING = """
act acts acted acting actor actors actress actresses star stars starred starring cast appear appears appeared
    play plays played
direct directs directed directing director directors filmmaker
write writes wrote written writer writers author authors screenwriter screenwriters scriptwriter scriptwriters script
    screenplay penned creator
release releases released premiere premiered
date dates year years when day
genre genres type types kind kinds sort category categories
language languages spoken speak speaks
topic topics tag tags word words term terms keyword keywords describe described describing about theme themes subject
rating rate rated good opinion score think
votes vote popular famous
birth born birthplace birthday
death die died dead
spouse wife husband married marry
parent parents father mother
child children son sons daughter daughters kid kids
place places where location located
compose composes composed composer composers
produce produces produced producer producers
sing sings sang sung singer singers
publish publishes published publisher publishers
found founds founded founder founders
invent invents invented inventor inventors
population inhabitants people
"""
_GROUPS = [line.split() for line in _SAME_MEANING.replace("\n    ", " ").splitlines() if line]
_MEANING = {word: group[0] for group in _GROUPS for word in group}

_SAME = frozenset(_MEANING.values())

_WORK_WORDS = """
film films movie movies book books novel novels song songs album albums work works show shows game games
"""
_WORKS = frozenset(_WORK_WORDS.split())
_SHARED = frozenset(("co", "together", "share", "shares", "shared", "sharing", "same", "common"))
_PERSONAL = frozenset(
    ("act", "direct", "write", "spouse", "parent", "child", "compose", "produce", "sing", "found", "invent")
)
_OF_WORKS = frozenset(("genre", "language", "date", "topic", "script"))
_PEOPLE = frozenset(("person", "people", "persons"))
_ASKING = frozenset(("who", "whom", "whose", "what", "which", "when", "where", "how", "list", "name"))
_AUXILIARIES = frozenset(("did", "does", "do", "has", "have", "can", "could", "would"))
_SMALL_WORDS = """
a an and any are as at be been by can did do does for from give had has have he her his how i in into is it its list
listed many me much name of on or she some tell than that the their them there they this to was were what which who
whom whose will with would you also primary main few please all every each both other others else
"""
_SMALL = frozenset(_SMALL_WORDS.split())
_ROLE = re.compile(r"(?:[eo]r|ress)(?:e?s)?$")
_OTHER_SCRIPT = re.compile(r"[\u0400-\uffff]")
_WORD = re.compile(r"[a-z0-9\u00c0-\u024f]+")


class Cue(NamedTuple):
    """A word that says something of the way to the answer.

    `meaning` is what it has in common with an attribute's name, or "work" for a work as such (film). `at` is its place
    among the question's words, those of the entity's name counted as one. `is_role`: it names people (director).
    """

    meaning: str
    at: int
    is_role: bool = False
    shared: bool = False


class Wanted(NamedTuple):
    """What is asked for: a work, a person, the value of an attribute (then `cue` is its place), or nothing known."""

    kind: Literal["work", "person", "value", "any"]
    at: int | None = None


def is_english(text: str) -> bool:
    """Whether the words around a name are Latin letters, two at least.

    >>> is_english("who wrote "), is_english("《Hamlet》是谁写的")
    (True, False)
    """
    return len(_words(text)) > 1 and not _OTHER_SCRIPT.search(text)


@lru_cache(maxsize=10_000)
def meanings_of(attribute: str) -> frozenset[str]:
    """The meanings of the words of an attribute's name.

    >>> sorted(meanings_of("starred_actors")), sorted(meanings_of("release year"))
    (['act'], ['date', 'release'])
    """
    words = [_meaning(w) for w in _words(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", attribute)) if w not in _SMALL]
    return frozenset(words)


def cues(before: str, after: str) -> tuple[list[Cue], int]:
    """The cues of a question, in its order, from the texts before and after the entity's name, and the name's place.

    >>> [(c.meaning, c.at, c.shared) for c in cues("who co-starred in a film with ", "")[0]]
    [('act', 2, True), ('work', 5, False)]
    """
    left = _words(before)
    words = [*left, "", *_words(after)]
    shared = [i for i, word in enumerate(words) if word in _SHARED]
    found = [Cue(_meaning(w), i, _is_role(w)) for i, w in enumerate(words) if _says(words, i)]
    relations = [c for c in found if c.meaning != "work"]
    nearest = {min(relations, key=lambda c: (abs(c.at - i), -c.at)).at for i in shared if relations}
    return [c._replace(shared=c.at in nearest) for c in found], len(left)


def wanted(before: str, after: str) -> Wanted:
    """What a question asks for, by its question word and the noun that belongs to it.

    >>> wanted("what genres are the films by ", ""), wanted("", " appears in which movies")
    (Wanted(kind='value', at=1), Wanted(kind='work', at=4))
    """
    left = _words(before)
    words = [*left, "", *_words(after)]
    at = next((i for i, word in enumerate(words) if word in _ASKING), None)
    if at is None:
        return Wanted("any")
    if words[at] in ("who", "whom"):
        return Wanted("person")
    if words[at] in ("when", "where"):
        return Wanted("value", at)
    return _noun(words, at + 1)


def _noun(words: Sequence[str], start: int) -> Wanted:
    for i, word in enumerate(words[start:], start):
        if not word or word in _AUXILIARIES:
            break
        if word in _PEOPLE:
            return Wanted("person")
        if _says(words, i):
            return Wanted("work" if word in _WORKS else "value", i)
    return Wanted("any")


def _says(words: Sequence[str], i: int) -> bool:
    """Whether a word is a cue; the work in `film genre` is none, as it only says whose genre."""
    word, following = words[i], words[i + 1] if i + 1 < len(words) else ""
    if word in _WORKS and following:
        return not (_is_role(following) or _meaning(following) in _OF_WORKS or following == "co")
    return bool(word) and word not in _SMALL and word not in _SHARED


def is_known(meaning: str) -> bool:
    """Whether the table has the meaning, so that a question that uses it means it."""
    return meaning in _SAME


def is_personal(meanings: frozenset[str]) -> bool:
    """Whether an attribute of these meanings has people as its values."""
    return not _PERSONAL.isdisjoint(meanings)


def _is_role(word: str) -> bool:
    return word not in _SMALL and bool(_ROLE.search(word))


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold().replace("'s ", " "))


def _meaning(word: str) -> str:
    if word in _WORKS:
        return "work"
    return _MEANING.get(word) or _MEANING.get(word.removesuffix("s")) or word.removesuffix("s")
