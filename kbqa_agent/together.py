"""Which attributes entities have together, counted in the knowledge base that a ranker is trained over.

Two words for one thing (创作年代 and 朝代) hardly stand at one entity; siblings (高 and 重) do. So an attribute that
comes with the best triple's is another one, and what asks for it does not ask for that.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kb_index.knowledge_base import KnowledgeBase

__all__ = ["NOTHING_TOGETHER", "Together"]

FILE = "together"
MOST_ATTRIBUTES = 5000
"""So many of the commonest attributes are counted."""
MOST_ENTITIES = 1_000_000


@dataclass(frozen=True)
class Together:
    """How many of the entities that were looked at have two attributes, as a symmetric table by rows.

    `columns` and `counts` (n_cells,) hold the attributes that each one meets, itself too, and in how many entities;
    those of attribute i lie at `starts[i]` to `starts[i + 1]`, (n_attributes + 1,).
    """

    attributes: tuple[str, ...]
    starts: NDArray[np.int32]
    columns: NDArray[np.int32]
    counts: NDArray[np.int32]

    @classmethod
    def count(cls, kb: KnowledgeBase) -> Together:
        """Look at the entities of a knowledge base, at most `MOST_ENTITIES` of them."""
        from scipy.sparse import csr_matrix

        names, entities, attributes = kb.attributes_of_entities(MOST_ENTITIES)
        commonest = np.argsort(-np.bincount(attributes, minlength=len(names)), kind="stable")[:MOST_ATTRIBUTES]
        number = np.full(len(names), -1)
        number[commonest] = np.arange(len(commonest))
        kept = number[attributes] >= 0
        cells = (np.ones(kept.sum(), np.int32), (entities[kept], number[attributes[kept]]))
        has = csr_matrix(cells, shape=(int(entities.max(initial=-1)) + 1, len(commonest)))
        both: Any = (has.T @ has).tocsr()
        both.sort_indices()
        columns = (both.indptr, both.indices, both.data)
        return cls(tuple(names[i] for i in commonest), *(column.astype(np.int32) for column in columns))

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The number of each attribute."""
        return {a: i for i, a in enumerate(self.attributes)}

    @cached_property
    def _entities(self) -> NDArray[np.float32]:
        """How many entities have each attribute, (n_attributes,)."""
        row = np.repeat(np.arange(len(self.attributes)), np.diff(self.starts))
        found: NDArray[np.float32] = self.counts[row == self.columns].astype(np.float32)
        return found

    def meetings(self, attribute: str, others: list[str]) -> NDArray[np.float32] | None:
        """Of the entities with the rarer of two attributes, the share that have both, (n_others,).

        0 for an attribute that was not counted; None where `attribute` itself was not.
        """
        number = self.numbers.get(attribute)
        if number is None:
            return None
        at = slice(self.starts[number], self.starts[number + 1])
        met = np.zeros(len(self.attributes) + 1, np.float32)  # the last one for what was not counted
        met[self.columns[at]] = self.counts[at] / np.minimum(self._entities[number], self._entities[self.columns[at]])
        shares: NDArray[np.float32] = met[[self.numbers.get(other, -1) for other in others]]
        return shares

    def save(self, folder: Path) -> None:
        """Write `together.safetensors` and `together.json` into a folder."""
        from safetensors.numpy import save_file

        arrays = {"starts": self.starts, "columns": self.columns, "counts": self.counts}
        save_file(arrays, str(folder / f"{FILE}.safetensors"))
        (folder / f"{FILE}.json").write_text(json.dumps(self.attributes, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Together:
        """Read what `save` wrote."""
        from safetensors.numpy import load_file

        attributes = json.loads((folder / f"{FILE}.json").read_text(encoding="utf-8"))
        return cls(tuple(attributes), **load_file(str(folder / f"{FILE}.safetensors")))


NOTHING_TOGETHER = Together((), np.zeros(1, np.int32), np.zeros(0, np.int32), np.zeros(0, np.int32))
"""Where no knowledge base was looked at."""
