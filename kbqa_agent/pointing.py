"""How probably a word of a follow-up question, or no word at all, points at what a dialogue has talked about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kbqa_agent.anaphora import Anaphor
from kbqa_agent.follow_up_words import WHERE, WHO
from kbqa_agent.referents import FEMALE_KIN, MALE_KIN, Gender, Referent
from kbqa_agent.types import Turn

__all__ = ["DECAY", "MOST_OLDER", "OTHER_SORT", "UNLIKELY", "fit", "weighed"]

UNLIKELY, OLDER, DECAY = 0.7, 0.4, 0.85
"""The weight of the less likely of topic and answer; of what is older than the last turn; and of each turn more."""
OTHER_SORT, UNKNOWN_SORT, OTHER_GENDER = 0.2, 0.6, 0.3
"""他 seldom means what is no person, or a woman."""
NOUN_IN_NAME = 1.5
"""那个县 is likelier to mean 易县 than 李白."""
MOST_OLDER = 6
WHICH = ("哪个", "哪位", "哪部", "哪本", "什么", "哪家", "哪首", "哪座", "哪张")
GENDERS: dict[str, Gender] = {
    **dict.fromkeys(("她", "她们", "she", "her", "hers"), "female"),
    **dict.fromkeys(("他", "he", "his", "him"), "male"),
}


def weighed(known: Sequence[Referent], last: Turn, anaphor: Anaphor | None) -> Iterator[tuple[Referent, float]]:
    """The referents, with how probably a word (None: no word at all) points at each after the last turn."""
    named = anaphor is not None and any(_is_named(anaphor, r) for r in known if r.turns_ago == 0)
    older, at_answer = 0, named or _points_at_answer(last, anaphor)
    for referent in known:
        if referent.turns_ago == 0:
            weight = 1.0 if (referent.role == "answer") == at_answer else UNLIKELY
        elif older < MOST_OLDER:
            weight = OLDER * DECAY**older
            older += 1
        else:
            return
        yield referent, weight * fit(anaphor, referent)


def _points_at_answer(last: Turn, anaphor: Anaphor | None) -> bool:
    """Whether a word points at the last answer rather than at what was asked about."""
    if anaphor is None:
        return False
    if len(anaphor.word) > 1 and any(f"{asking}{anaphor.word}" in last.question for asking in WHICH):
        return True
    if anaphor.kind == "person":
        return WHO.search(last.question) is not None
    return anaphor.kind == "place" and WHERE.search(last.question) is not None


def fit(anaphor: Anaphor | None, referent: Referent) -> float:
    """How well a word fits a referent: its sort, its gender, and what it was the answer to."""
    if anaphor is None:
        return 1.0
    if _is_named(anaphor, referent):
        return 1.0 if referent.turns_ago == 0 else 1.0 / UNLIKELY
    weight = NOUN_IN_NAME if anaphor.word and anaphor.word in referent.name else 1.0
    fits = anaphor.kind == "any" or anaphor.kind in referent.sorts
    if not fits and (anaphor.kind != "thing" or referent.sorts == {"person"}):
        is_other = referent.sorts and not (anaphor.kind == "place" and "thing" in referent.sorts)
        weight *= OTHER_SORT if is_other else UNKNOWN_SORT
    gender = GENDERS.get(anaphor.word)
    if gender and referent.gender and referent.gender != gender:
        weight *= OTHER_GENDER
    return weight


def _is_named(anaphor: Anaphor, referent: Referent) -> bool:
    """Whether a word names what the referent was the answer to: 这个偶像 after 她的偶像是谁, 这个儿子 after 次子."""
    if len(anaphor.word) > 1 and anaphor.word in referent.asked:
        return True
    return any(kin.search(anaphor.word) and kin.search(referent.asked) for kin in (FEMALE_KIN, MALE_KIN))
