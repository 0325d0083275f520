"""People's votes between two answers, as preferences for a reward model."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from finetune.preferences import Preference, write_preferences
from finetune.raft_reward import shown_values
from kb_index.errors import FeedbackError, StorageError
from kbqa_agent.prompts import UNKNOWN, answer_text
from kbqa_agent.qa_data import comparable
from kbqa_agent.serving.votes import Vote

__all__ = ["VotePairs", "export_votes", "preferences_from_votes"]


class VotePairs(NamedTuple):
    """Pairs, how many votes prefer no answer to the other, and how many one that no triple of the prompt says."""

    pairs: list[Preference]
    n_without_pair: int
    n_unsupported: int


def preferences_from_votes(votes: Iterable[Vote]) -> VotePairs:
    """Pair the better answer with the worse one; silence is `UNKNOWN`, as trainings write it.

    A better answer that the prompt does not hold gives no pair, since a reward for it would teach to prefer what
    nothing supports.
    """
    pairs: list[Preference] = []
    without_pair = unsupported = 0
    for vote in votes:
        sides = [_written(vote.left_answer), _written(vote.right_answer)]
        chosen, rejected = sides if vote.winner == "left" else reversed(sides)
        if vote.winner == "tie" or chosen == rejected:
            without_pair += 1
        elif chosen != UNKNOWN and comparable(chosen) not in (shown_values(vote.prompt) or set()):
            unsupported += 1
        else:
            pairs.append(Preference(vote.prompt, chosen, rejected))
    return VotePairs(pairs, without_pair, unsupported)


def export_votes(votes: Iterable[Vote], out: Path, replace: bool = False) -> str:
    """Write votes as pairs, JSON lines, and say how many.

    Raises: FeedbackError when there is nothing to write; StorageError when `out` is there, or cannot be written.
    """
    if out.exists() and not replace:
        raise StorageError(f"'{out}': there already; it is left as it is, choose another --out, or add --force")
    given = list(votes)
    found = preferences_from_votes(given)
    left_out = f"{found.n_without_pair} prefer none, of {found.n_unsupported} no triple says the better answer"
    if not found.pairs:
        raise FeedbackError(f"{len(given)} votes, and nothing to export ({left_out}); vote for more answers")
    write_preferences(found.pairs, out)
    return f"{out}: {len(found.pairs)} pairs from {len(given)} votes; {left_out}"


def _written(answer: str | None) -> str:
    return UNKNOWN if answer is None else answer_text(answer)
