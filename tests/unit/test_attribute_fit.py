"""Which attribute that others have stands in a question, beside the best triple's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from kbqa_agent.attribute_fit import ATTRIBUTE_FIT, attribute_fit

COUNTS = {"国际刊号": 9, "国内刊号": 4, "刊号": 30, "号": 500}


def frequency(attributes: Sequence[str]) -> NDArray[np.int64]:
    return np.array([COUNTS.get(a, 0) for a in attributes], np.int64)


@pytest.mark.parametrize(
    ("masked", "best", "expected"),
    [
        ("_的国际刊号是多少", "国内刊号", (4, 0, 0, 0, np.log1p(9))),
        ("_的国际刊号是多少", "国际刊号", (4, 1, 1, 1, np.log1p(9))),
        ("_的国际刊号是多少", "刊号", (4, 0, 0, 1, np.log1p(9))),
        ("_的刊号", "国内刊号", (2, 0, 1, 0, np.log1p(30))),
        ("_多高", "高度", (0, 0, 0, 0, 0)),
        ("_", "刊号", (0, 0, 0, 0, 0)),
        ("国际_刊号", "国际刊号", (2, 0, 1, 0, np.log1p(30))),
    ],
)
def test_the_longest_attribute_in_the_question_is_compared_with_the_best(masked, best, expected) -> None:
    found = dict(zip(ATTRIBUTE_FIT, attribute_fit(masked, best, frequency).tolist(), strict=True))
    assert found == pytest.approx(dict(zip(ATTRIBUTE_FIT, expected, strict=True)))
