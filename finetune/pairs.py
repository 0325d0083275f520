"""Questions and an index -> preferences: the gold answer against the ranker's best wrong candidates.

The prompt is the one that `ask` would give. A question whose gold answer is not among the triples of that prompt gives
no pair, since a reward for it would teach to prefer what nothing supports.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from finetune.preferences import Preference, read_preferences
from kb_index.errors import InputError
from kb_index.types import Triple
from kbqa_agent.agent import KBQAgent
from kbqa_agent.prompts import answer_prompt, answer_text
from kbqa_agent.qa_data import comparable, draw, read_questions
from kbqa_agent.types import QAExample

__all__ = ["WRONG_ANSWERS", "QuestionPairs", "Retrieved", "gather_preferences", "pairs_from_questions"]

logger = logging.getLogger(__name__)

WRONG_ANSWERS = 3


class Retrieved(NamedTuple):
    """What the agent has for a question: the triples of its prompt, and its candidate answers, best first."""

    triples: Sequence[Triple]
    answers: Sequence[str]


class QuestionPairs(NamedTuple):
    """Pairs, and how many questions gave none: the prompt lacks the gold answer, or there is no wrong candidate."""

    pairs: list[Preference]
    n_without_gold: int
    n_without_wrong: int


def pairs_from_questions(
    examples: Iterable[QAExample], retrieve: Callable[[str], Retrieved], n_wrong: int = WRONG_ANSWERS
) -> QuestionPairs:
    """Pair the gold answer of each question with at most `n_wrong` of the best wrong candidates."""
    pairs: list[Preference] = []
    without_gold = without_wrong = 0
    for example in examples:
        found = retrieve(example.question)
        golds = {comparable(answer) for answer in example.answers}
        gold = next((t.object for t in found.triples if comparable(t.object) in golds), None)
        if gold is None:
            without_gold += 1
            continue
        chosen = answer_text(gold)
        wrong = [answer_text(answer) for answer in found.answers if comparable(answer) not in golds]
        rejected = [text for text in dict.fromkeys(wrong) if text not in ("", chosen)][:n_wrong]
        without_wrong += not rejected
        prompt = answer_prompt(example.question, found.triples)
        pairs += [Preference(prompt, chosen, text) for text in rejected]
    return QuestionPairs(pairs, without_gold, without_wrong)


def gather_preferences(
    files: Sequence[Path], questions: Path | None, index: Path | None, limit: int | None = None, seed: int = 0
) -> list[Preference]:
    """Read files of preferences, and make pairs of questions over an index with a trained ranker.

    `limit` draws so many prompts of the files, all pairs of each, and so many questions, at random; None takes all.

    Raises: InputError, QuestionFileError, IndexFolderError, ModelError.
    """
    found = [pair for file in files for pair in read_preferences(file).pairs]
    drawn = set(draw(list(dict.fromkeys(pair.prompt for pair in found)), limit, seed))
    kept = [pair for pair in found if pair.prompt in drawn]
    if questions is None:
        return kept
    if index is None:
        raise InputError(f"{questions}: expected an --index whose candidates are the wrong answers")
    return kept + _from_questions(draw(read_questions(questions), limit, seed), index)


def _from_questions(examples: Sequence[QAExample], index: Path) -> list[Preference]:
    with KBQAgent.open(index, model="none") as agent:

        def retrieve(question: str) -> Retrieved:
            triples = agent.best_triples(question, agent.config.prompt_triples)
            return Retrieved(triples, [c.answer for c in agent.ask(question).candidates])

        made = pairs_from_questions(tqdm(examples, "retrieve", unit="question", disable=None), retrieve)
    logger.info(
        "%d pairs; %d questions lack the gold answer in the prompt, %d have no wrong candidate",
        len(made.pairs),
        made.n_without_gold,
        made.n_without_wrong,
    )
    return made.pairs
