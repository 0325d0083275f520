"""What BERT is trained on: a question's linked mentions with the gold one, and attributes with the gold one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from finetune.retrieved import Retrieved
from kb_index.normalize import plain_name
from kbqa_agent.bert_network import Span
from kbqa_agent.groups import Asked, Group, groups_of
from kbqa_agent.types import QAExample

__all__ = ["BertRow", "bert_rows"]


class BertRow(NamedTuple):
    """A question, where its linked mentions stand, and which of them is gold; the question without that one.

    `near` are attributes of the gold mention's entities, and `far` of those of other mentions; none of them has an
    answer of the question.
    """

    number: int
    question: str
    spans: tuple[Span, ...]
    gold: int
    masked: str
    attribute: str
    near: tuple[str, ...]
    far: tuple[str, ...]


def bert_rows(found: Sequence[Retrieved], examples: Sequence[QAExample]) -> list[BertRow]:
    """Make a row of each question whose gold triple was retrieved; they keep the questions' numbers."""
    rows = (_row(number, *of) for number, of in enumerate(zip(found, examples, strict=True)))
    return [row for row in rows if row is not None]


def _row(number: int, f: Retrieved, example: QAExample) -> BertRow | None:
    if not f.labels.any():
        return None
    groups = groups_of(Asked(f.question, f.mentions, f.triples))
    best = int(f.labels.max())
    right = [i for i, group in enumerate(groups) if (f.labels[group.places] == best).any()]
    gold = next((i for i in right if _is_named(groups[i], example)), right[0])
    at = groups[gold].places[int(f.labels[groups[gold].places].argmax())]
    answers = {a for group in groups for (a, _), i in zip(group.facts, group.places, strict=True) if f.labels[i]}
    near = dict.fromkeys(a for a, _ in groups[gold].facts if a not in answers)
    far = dict.fromkeys(a for group in groups for a, _ in group.facts if a not in answers and a not in near)
    attribute = next(a for (a, _), i in zip(groups[gold].facts, groups[gold].places, strict=True) if i == at)
    spans = tuple((group.mention.start, group.mention.end) for group in groups)
    return BertRow(number, f.question, spans, gold, groups[gold].masked, attribute, tuple(near), tuple(far))


def _is_named(group: Group, example: QAExample) -> bool:
    """Whether a mention is the name of the gold subject."""
    return example.triple is not None and plain_name(group.mention.text) == plain_name(example.triple[0])
