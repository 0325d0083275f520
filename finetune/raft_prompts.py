"""Questions to the prompts that RAFT samples from, those of the stages apart from those that are held out."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from finetune.data import RowOptions, rows_from_questions
from finetune.overlap import asked, refuse_overlap, refuse_taught
from finetune.raft_config import RaftConfig
from finetune.trained_questions import trained_questions
from kb_index.errors import InputError
from kb_index.types import Triple
from kbqa_agent.agent import KBQAgent
from kbqa_agent.prompts import UNKNOWN
from kbqa_agent.qa_data import detect_format, draw, read_questions
from kbqa_agent.text2text import read_text2text
from kbqa_agent.types import QAExample

__all__ = ["PromptSets", "RaftPrompt", "prepare_prompts", "prompts_from_questions", "stage_prompts"]

MAX_HELD_OUT_SHARE = 0.2


class RaftPrompt(NamedTuple):
    """A prompt and its gold answers; none where the prompt does not hold them, so that "not known" is right.

    `target` is the answer that supervised training teaches: of several gold ones that which the prompt holds, as long
    as it stands there.
    """

    id: str
    text: str
    gold: tuple[str, ...]
    target: str


class PromptSets(NamedTuple):
    """The prompts that stages draw from, and those that each stage is measured on."""

    training: list[RaftPrompt]
    held_out: list[RaftPrompt]


def prepare_prompts(config: RaftConfig, progress: bool = True) -> PromptSets:
    """Read the questions, set some apart, and write the prompts that `ask` would give.

    Questions that the start was trained on are not held out.

    Raises: QuestionFileError, IndexFolderError; InputError where neither an index nor closed-book prompts are asked
    for, held-out questions are among those that were or will be trained on, or none are left.
    """
    for path in (config.questions, config.held_out):
        if path and config.index is None and not config.closed_book and detect_format(path) != "text2text":
            raise InputError(f"{path}: expected an --index whose triples go into the prompts, or --closed-book")
    training = draw(_read(config.questions), config.limit, config.seed)
    start = config.start
    taught = trained_questions(start) if start else set()
    if config.held_out is None:
        training, held_out = _split(training, config.held_out_questions, config.seed, taught)
        if not held_out:
            raise InputError(
                f"{config.questions}: '{start}' was trained on all of its questions, which leaves none to measure on; "
                "name others with --held-out"
            )
    else:
        listing = config.out.with_name(f"{config.out.name}.overlap.tsv")
        refuse_overlap(config.questions, config.held_out, listing)
        refuse_taught(taught, f"the training of '{start}'", config.held_out, listing)
        held_out = draw(_read(config.held_out), config.held_out_questions, config.seed)
    with _prompt_writer(config, progress) as write:
        sets = PromptSets(write(config.questions, training), write(config.held_out or config.questions, held_out))
    if not sets.training or not sets.held_out:
        raise InputError(
            f"{config.questions}: {len(sets.training)} prompts to train on and {len(sets.held_out)} to measure on; "
            "expected at least one of each; give more questions, and an index that knows what they ask about"
        )
    return sets


def prompts_from_questions(
    examples: Iterable[QAExample], candidates_of: Callable[[str], Sequence[Triple]], options: RowOptions
) -> list[RaftPrompt]:
    """Write the prompt of each question as `rows_from_questions` does, whatever other questions stand beside it.

    Questions without a prompt, since no triple was found, are left out.
    """
    prompts = []
    for example in examples:
        own = zlib.crc32(f"{options.seed} {example.id} {example.question}".encode())
        for row in rows_from_questions([example], candidates_of, replace(options, seed=own)):
            gold = () if row.output == UNKNOWN else example.answers
            prompts.append(RaftPrompt(example.id, row.input, gold, row.output))
    return prompts


def stage_prompts(prompts: Sequence[RaftPrompt], stage: int, batch: int, seed: int) -> list[RaftPrompt]:
    """Draw the prompts of a stage (1, 2, ...): all prompts come once, in random order, before any comes again."""
    batch = min(batch, len(prompts))
    places = range((stage - 1) * batch, stage * batch)
    orders = {round_: _shuffled(len(prompts), seed, round_) for round_ in {i // len(prompts) for i in places}}
    return [prompts[orders[i // len(prompts)][i % len(prompts)]] for i in places]


def _shuffled(n: int, seed: int, round_: int) -> list[int]:
    return random.Random(f"{seed} {round_}").sample(range(n), n)


def _read(path: Path) -> list[QAExample]:
    """Read questions; a text2text row is one whose question is its whole prompt."""
    if detect_format(path) != "text2text":
        return read_questions(path)
    rows = read_text2text(path)
    return [QAExample(str(i), row.input, (row.output,)) for i, row in enumerate(rows, 1)]


def _split(
    examples: Sequence[QAExample], n: int, seed: int, taught: Collection[str]
) -> tuple[list[QAExample], list[QAExample]]:
    """Hold out `n` different questions that were not `taught`, at most a fifth of all, with all their repetitions."""
    different = list(dict.fromkeys(asked(e.question) for e in examples))
    n = min(n, max(1, int(MAX_HELD_OUT_SHARE * len(different))))
    new = [question for question in different if question not in taught]
    drawn = set(random.Random(seed).sample(new, min(n, len(new))))
    held_out = {asked(e.question): e for e in examples if asked(e.question) in drawn}
    return [e for e in examples if asked(e.question) not in drawn], list(held_out.values())


@contextmanager
def _prompt_writer(
    config: RaftConfig, progress: bool
) -> Iterator[Callable[[Path, Sequence[QAExample]], list[RaftPrompt]]]:
    """Open the index, if there is one, and lend the function from the questions of a file to their prompts."""
    options = RowOptions(closed_book=config.closed_book, seed=config.seed)
    index = None if config.closed_book else config.index
    with ExitStack() as stack:
        agent = stack.enter_context(KBQAgent.open(index, model="none")) if index else None

        def candidates_of(question: str) -> Sequence[Triple]:
            return agent.best_triples(question, options.max_triples) if agent else ()

        def write(path: Path, examples: Sequence[QAExample]) -> list[RaftPrompt]:
            if detect_format(path) == "text2text":
                golds = [() if e.answers == (UNKNOWN,) else e.answers for e in examples]
                return [RaftPrompt(e.id, e.question, g, e.answers[0]) for e, g in zip(examples, golds, strict=True)]
            bar = tqdm(examples, "retrieve", unit="question", disable=None if progress else True)
            return prompts_from_questions(bar, candidates_of, options)

        yield write
