"""People's feedback to what trainings read: preferences for a reward model, and questions with the answers confirmed.

Of one person only the latest word on a question counts, and nothing that was undone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from finetune.pairs import WRONG_ANSWERS
from finetune.preferences import Preference
from finetune.raft_reward import shown_values
from kb_index.types import Triple
from kbqa_agent.feedback_memory import Stance, stance_of
from kbqa_agent.feedback_records import FeedbackRecord, Judgement
from kbqa_agent.feedback_texts import question_key, text_key
from kbqa_agent.prompts import UNKNOWN, answer_text
from kbqa_agent.qa_data import comparable
from kbqa_agent.types import QAExample

__all__ = ["FeedbackPairs", "FeedbackQuestions", "preferences_from_feedback", "questions_from_feedback"]


class FeedbackPairs(NamedTuple):
    """Pairs, and how many pieces gave none.

    They do not tell a better answer from a worse, or the better one is in no triple of the prompt.
    """

    pairs: list[Preference]
    n_without_pair: int
    n_unsupported: int


class FeedbackQuestions(NamedTuple):
    """Questions whose answer people agree on, and how many they do not agree on."""

    examples: list[QAExample]
    n_open: int


def preferences_from_feedback(records: Iterable[FeedbackRecord]) -> FeedbackPairs:
    """Pair a confirmed answer with the best other candidates, and a correction with the answer that it corrects.

    "Unknown" prefers `UNKNOWN` to the answer. A correction that the prompt does not hold gives no pair, since a reward
    for it would teach to prefer what nothing supports.
    """
    pairs: list[Preference] = []
    without_pair = unsupported = 0
    for record in _latest(records):
        chosen, rejected = _better(record), _worse(record)
        if chosen is None or not rejected:
            without_pair += 1
        elif chosen != UNKNOWN and comparable(chosen) not in (shown_values(record.shown.prompt) or set()):
            unsupported += 1
        else:
            pairs += [Preference(record.shown.prompt, chosen, text) for text in rejected if text != chosen]
    return FeedbackPairs(pairs, without_pair, unsupported)


def questions_from_feedback(records: Iterable[FeedbackRecord]) -> FeedbackQuestions:
    """Take each question with the answers that more people hold right than do not; none where they say unknown."""
    by_question: dict[str, list[FeedbackRecord]] = {}
    for record in records:
        if record.undone is None:
            by_question.setdefault(question_key(record.feedback.question), []).append(record)
    verdicts = [(about, _verdict(about)) for about in by_question.values()]
    agreed = [(about, answers) for about, answers in verdicts if answers is not None]
    examples = [
        QAExample(str(number), about[0].feedback.question, answers, _triple(about, answers))
        for number, (about, answers) in enumerate(agreed, 1)
    ]
    return FeedbackQuestions(examples, len(verdicts) - len(agreed))


def _latest(records: Iterable[FeedbackRecord]) -> Iterator[FeedbackRecord]:
    latest = {(r.user, question_key(r.feedback.question)): r for r in records if r.undone is None}
    yield from sorted(latest.values(), key=lambda r: r.id)


def _better(record: FeedbackRecord) -> str | None:
    given = record.feedback
    if given.rating == "unknown":
        return UNKNOWN
    text = given.answer if given.rating == "good" else given.correction
    if text is None:
        return None
    same = (c.answer for c in record.shown.candidates if text_key(c.answer) == text_key(text))
    return answer_text(next(same, text))


def _worse(record: FeedbackRecord) -> list[str]:
    given, candidates = record.feedback, [answer_text(c.answer) for c in record.shown.candidates]
    if given.rating == "good":
        told = {*map(answer_text, record.shown.values), answer_text(given.answer or "")}
        return [text for text in dict.fromkeys(candidates) if text not in told][:WRONG_ANSWERS]
    if given.answer is not None:
        return [answer_text(given.answer)]
    return candidates[:1] if given.rating == "unknown" else [UNKNOWN]


def _verdict(about: Sequence[FeedbackRecord]) -> tuple[str, ...] | None:
    """The answers that more people hold right than do not, () for unknown; None where there are no such answers."""
    said: dict[str, list[Judgement]] = {}
    for record in about:
        said.setdefault(record.user, []).append(Judgement.of(record))
    stances = Counter(map(stance_of, said.values()))
    holding: Counter[frozenset[str]] = Counter()
    for stance, people in stances.items():
        if stance.right is not None:
            holding[stance.keys] += people
    for keys, people in holding.most_common(1):
        if people > sum(n for stance, n in stances.items() if not stance.agrees(keys)):
            return _texts(stances, keys)
    return None


def _texts(stances: Iterable[Stance], keys: frozenset[str]) -> tuple[str, ...]:
    return next(stance.right for stance in stances if stance.right is not None and stance.keys == keys)


def _triple(about: Sequence[FeedbackRecord], answers: Sequence[str]) -> tuple[str, str, str] | None:
    """The triple that states the first answer, where what was shown has it."""
    found = (
        c.evidence[0]
        for record in about
        for c in record.shown.candidates
        if c.evidence and answers and text_key(c.answer) == text_key(answers[0]) == text_key(c.evidence[0].object)
    )
    triple: Triple | None = next(found, None)
    return (triple.subject, triple.predicate, triple.object) if triple else None
