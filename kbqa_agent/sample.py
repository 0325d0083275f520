"""Where the embedded sample lies: a small knowledge base of true facts in Chinese, and questions about it.

It gives paths and reads nothing; `LICENSES.md` beside the files names their sources. The files are opened in place, so
the package must be installed as files (it is, by pip), not imported from a zip archive.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

__all__ = ["sample_test", "sample_train", "sample_triples"]


def sample_triples() -> Path:
    """Path of the knowledge base: NLPCC lines `subject ||| predicate ||| object`.

    >>> sample_triples().name
    'sample.kbqa.kb'
    """
    return _path("sample.kbqa.kb")


def sample_train() -> Path:
    """Path of the training questions, in the NLPCC format; an unanswerable one has no triple and an empty answer."""
    return _path("train.nlpcc")


def sample_test() -> Path:
    """Path of the test questions; they name no entity that a training question names."""
    return _path("test.nlpcc")


def _path(name: str) -> Path:
    return Path(str(files("kbqa_agent").joinpath("data", "sample", name)))
