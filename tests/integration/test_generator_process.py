"""A model in a process of its own gives what it gives here, stops when nobody listens, and is started again."""

from __future__ import annotations

import signal

import numpy as np
import pytest

from kb_index.errors import ModelError
from kbqa_agent.generation import open_generator
from kbqa_agent.serving.generator_process import GeneratorProcess

PROMPT = "【坛经】\n作者：惠能\n问：《坛经》的作者是谁？\n答："


@pytest.mark.slow
def test_a_model_elsewhere_gives_the_same(tiny_models):
    here, there = open_generator(tiny_models["gpt2"]), GeneratorProcess(tiny_models["gpt2"])
    try:
        assert (there.name, there.adapter) == (here.name, None)
        answers = ["惠能", "唐"]
        np.testing.assert_allclose(there.score(PROMPT, answers), here.score(PROMPT, answers), rtol=1e-5)
        written = here.generate([PROMPT], 12)
        assert there.generate([PROMPT], 12) == written
        assert there.generate([PROMPT], among=[answers])[0] in answers
        assert "".join(there.stream(PROMPT, 12)) == "".join(here.stream(PROMPT, 12))
        for n_heard in (0, 1, 2):
            events = there.stream(PROMPT, 200)
            heard = [next(events) for _ in range(n_heard)]
            events.close()
            assert len(heard) == n_heard
            assert there.generate([PROMPT], 12) == written
        with there.executor() as pool:
            several = list(pool.map(lambda _: there.score(PROMPT, answers), range(8)))
        np.testing.assert_allclose(several, [here.score(PROMPT, answers)] * 8, rtol=1e-5)
        there._child.process.kill()
        there._child.process.wait()
        assert there.generate([PROMPT], 12) == written
    finally:
        there.close()


@pytest.mark.slow
def test_a_model_that_cannot_be_loaded_is_told_of():
    with pytest.raises(ModelError, match="nothing-there"):
        GeneratorProcess("nothing-there")


@pytest.mark.slow
def test_a_model_that_says_nothing_is_killed_and_started_again(tiny_models):
    there = GeneratorProcess(tiny_models["gpt2"], patience=10.0)
    try:
        written = there.generate([PROMPT], 12)
        there._child.process.send_signal(signal.SIGSTOP)
        with pytest.raises(ModelError, match="said nothing for 10 seconds"):
            there.generate([PROMPT], 12)
        assert there.generate([PROMPT], 12) == written
    finally:
        there.close()
