"""Everything that can go wrong for a user, as one tree.

    KBQAError
    ├── InputError              a file or value that the user gave cannot be used
    │   ├── TripleFileError     missing, empty, binary, not UTF-8, or in another format
    │   ├── QuestionError       an empty or an over-long question
    │   ├── QuestionFileError   a question file that cannot be read
    │   ├── DialogueFileError   a saved dialogue that cannot be read
    │   ├── FeedbackError       feedback that cannot be taken, or undone
    │   └── FeedbackFileError   a file that holds no feedback, or that of another version
    ├── IndexFolderError        the folder is no index, is damaged, or is of another version
    │   ├── EncoderMismatchError    the index was made with another encoder
    │   └── MissingShardError       a shard of the index cannot be asked
    ├── ModelError              a generator, adapter or ranker that cannot be loaded, or does not answer
    │   └── NoLikelihoodError       a generator that does not tell how likely a given text is
    ├── TrainingError           a training that cannot go on: its loss is no number, or the memory is full
    ├── WorkerError             one of several processes that shared the work was ended
    ├── MissingExtraError       an optional dependency is not installed
    └── StorageError            the disk is full, a path cannot be written, or a store of files not be reached

Every message is one line: what was got, what was expected, what to do.
"""

from __future__ import annotations

__all__ = [
    "DialogueFileError",
    "EncoderMismatchError",
    "FeedbackError",
    "FeedbackFileError",
    "IndexFolderError",
    "InputError",
    "KBQAError",
    "MissingExtraError",
    "MissingShardError",
    "ModelError",
    "NoLikelihoodError",
    "QuestionError",
    "QuestionFileError",
    "StorageError",
    "TrainingError",
    "TripleFileError",
    "WorkerError",
]


class KBQAError(Exception):
    """The root: the command line prints its message in one line and exits with status 1."""


class InputError(KBQAError):
    """A file or value that the user gave cannot be used."""


class TripleFileError(InputError):
    """A triple file is missing, empty, binary, not UTF-8, or in another format."""


class QuestionError(InputError):
    """A question is empty or too long."""


class QuestionFileError(InputError):
    """A question file cannot be read."""


class DialogueFileError(InputError):
    """A saved dialogue cannot be read, or something else is where it should be saved."""


class FeedbackError(InputError):
    """A piece of feedback cannot be taken, or cannot be undone."""


class FeedbackFileError(InputError):
    """A file holds no feedback, or that of another version, or another program keeps it locked."""


class IndexFolderError(KBQAError):
    """A folder is no index, is damaged, or was made by another version."""


class EncoderMismatchError(IndexFolderError):
    """An index was made with another encoder than the one asked for."""


class MissingShardError(IndexFolderError):
    """A shard of an index cannot be asked, and the index was not opened to do without it."""


class ModelError(KBQAError):
    """A generator, adapter or ranker cannot be loaded, or does not answer."""


class NoLikelihoodError(ModelError):
    """A generator does not tell how likely a given text is; it can only write."""


class TrainingError(KBQAError):
    """A training cannot go on: its loss is no number, or the memory is full."""


class WorkerError(KBQAError):
    """One of several processes that shared the work was ended, perhaps as the memory was full."""


class MissingExtraError(KBQAError):
    """An optional dependency is not installed; the message holds the pip command."""

    def __init__(self, extra: str, package: str) -> None:
        super().__init__(f"{package} is not installed, and this needs it; run: pip install 'kbqa[{extra}]'")
        self._of = extra, package

    def __reduce__(self) -> tuple[type[MissingExtraError], tuple[str, str]]:
        return type(self), self._of  # what is sent from process to process is made anew there


class StorageError(KBQAError):
    """The disk is full, a path cannot be written, or a store of files cannot be reached."""
