"""The tokens that may follow, where only one of some candidates may be written: a trie over their token ids.

This module knows tokens alone; `decoding` shows it to the model's search.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["CandidateTrie"]


class CandidateTrie:
    """The ways to spell one of some candidates, each a row of token ids that ends with the end token.

    >>> trie = CandidateTrie([[5, 6, 0], [5, 7, 0], [5, 0]], end=0)
    >>> trie.allowed([]), trie.allowed([5]), trie.allowed([5, 7])
    ([5], [6, 7, 0], [0])
    >>> trie.which([5, 7, 0])
    1
    """

    def __init__(self, rows: Sequence[Sequence[int]], end: int) -> None:
        self._end = end
        self._following: dict[tuple[int, ...], list[int]] = {}
        self._spelt: dict[tuple[int, ...], int] = {}
        for number, row in enumerate(rows):
            # A candidate's own text can hold the end token, and whatever is written ends there.
            path = (*row[: list(row).index(end)], end) if end in row else (*row, end)
            self._spelt.setdefault(path, number)
            for place, token in enumerate(path):
                following = self._following.setdefault(path[:place], [])
                if token not in following:
                    following.append(token)

    def allowed(self, written: Sequence[int]) -> list[int]:
        """List the tokens that may come next; after a whole candidate, or none at all, the end token alone."""
        return self._following.get(tuple(written), [self._end])

    def which(self, written: Sequence[int]) -> int | None:
        """Give the first candidate that is spelt so, up to the end token; None where there is none."""
        path = tuple(written)
        return self._spelt.get((*path[: path.index(self._end)], self._end) if self._end in path else path)
