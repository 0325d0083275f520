"""The one face of an open index: names, triples, attributes and vectors, read-only.

Look-ups only: which of the entities a question means, and which triple answers it, is the agent's to decide.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from kb_index.encoder import Encoder, open_encoder
from kb_index.errors import EncoderMismatchError, IndexFolderError
from kb_index.manifest import Manifest, check_files, read_manifest
from kb_index.names import NameTrie
from kb_index.normalize import normalize_attribute, normalize_name, strip_description
from kb_index.store import TripleStore
from kb_index.types import AttributeMatch, Entity, EntityMatch, NameMatch, Triple
from kb_index.vectors import VectorIndex

__all__ = ["KnowledgeBase"]


class KnowledgeBase:
    """An open index; safe to use from several threads, and a context manager that closes it.

    `path` is its folder, `manifest` what its build recorded.
    """

    def __init__(self, path: Path, manifest: Manifest, store: TripleStore, names: NameTrie) -> None:
        self.path = path
        self.manifest = manifest
        self._store = store
        self._names = names
        self._attribute_counts: dict[str, int] = {}

    @classmethod
    def open(cls, path: str | Path) -> KnowledgeBase:
        """Open an index folder; vectors and encoder are loaded when they are first asked for.

        Raises:
            IndexFolderError: the folder is no index, is damaged, or is of another schema version.
        """
        folder = Path(path)
        manifest = read_manifest(folder)
        check_files(manifest, folder)
        with _damage(folder):
            names = NameTrie.open(folder / "names.marisa")
            return cls(folder, manifest, TripleStore(folder / "kb.duckdb"), names)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the files; the object cannot be used after that."""
        self._store.close()

    @cached_property
    def encoder(self) -> Encoder:
        """The encoder that the vectors were made with.

        Raises:
            EncoderMismatchError: the model of that name now makes vectors of another length.
            IndexFolderError: the folder has been replaced since it was opened.
            ModelError, MissingExtraError: the encoder cannot be loaded.
        """
        self._check_not_replaced()
        made_with = self.manifest.encoder
        encoder = open_encoder(made_with.name, self.path / "encoder")
        if encoder.dim != made_with.dim:
            raise EncoderMismatchError(
                f"index '{self.path}': made with encoder {made_with.name!r} (dim {made_with.dim}), which now has dim "
                f"{encoder.dim}; build the index again"
            )
        return encoder

    @cached_property
    def _entity_vectors(self) -> VectorIndex:
        return self._open_vectors("entities.faiss")

    @cached_property
    def _attribute_vectors(self) -> VectorIndex:
        return self._open_vectors("attributes.faiss")

    def _open_vectors(self, name: str) -> VectorIndex:
        self._check_not_replaced()
        with _damage(self.path):
            return VectorIndex.open(self.path / name)

    def _check_not_replaced(self) -> None:
        if read_manifest(self.path) != self.manifest:
            raise IndexFolderError(f"index '{self.path}': replaced since it was opened; open it again")

    def mentions(self, text: str) -> list[NameMatch]:
        """Find every stretch of a text that is an alias, overlapping ones included, by start and then by end.

        Offsets are into `text` as given. An alias of one character counts only in quotation marks or as whole text.
        """
        return self._names.mentions(text)

    def entities(self, ids: Sequence[int]) -> list[Entity]:
        """Look up the entities with these ids, in ascending order; an unknown id is left out."""
        return self._store.entities(ids)

    def entities_named(self, name: str) -> list[Entity]:
        """Look up the entities that have a name as an alias; width, case and blanks do not count."""
        return self._store.entities(self._names.ids(normalize_name(name)))

    def triples_of(self, entity_ids: Sequence[int]) -> list[Triple]:
        """Look up all triples about these entities, grouped by subject in ascending order of id."""
        return self._store.triples_of(entity_ids)

    def triples_by_id(self, ids: Sequence[int]) -> list[Triple]:
        """Look up the triples with these ids, in ascending order; an unknown id is left out."""
        return self._store.triples_by_id(ids)

    def triples_about(self, name: str, limit: int = 100) -> list[Triple]:
        """Look up at most `limit` triples whose object is a name, if it is an entity's alias."""
        return self._store.triples_about(normalize_name(name), limit)

    def attribute_frequency(self, predicates: Sequence[str]) -> NDArray[np.int64]:
        """Count in how many triples each attribute occurs, however it is written, (n_predicates,); 0 if unknown."""
        names = [normalize_attribute(predicate) for predicate in predicates]
        unseen = {name for name in names if name not in self._attribute_counts}
        if unseen:
            self._attribute_counts |= self._store.attribute_counts(sorted(unseen))
        return np.array([self._attribute_counts.get(name, 0) for name in names], dtype=np.int64)

    def similar_entities(self, texts: Sequence[str], k: int) -> list[list[EntityMatch]]:
        """Find for each text the entities of the k names nearest to it, best first.

        Names are compared without their descriptions. All entities that share a name are listed, in ascending order
        of id, so that a list can be longer than k.
        """
        found = self._entity_vectors.search(self.encoder.encode(texts), k)
        named = {entity.id: entity.name for entity in self.entities([i for matches in found for i, _ in matches])}
        ids = {i: self._names.ids(normalize_name(strip_description(name)[0])) for i, name in named.items()}
        entities = {entity.id: entity for entity in self.entities([i for namesakes in ids.values() for i in namesakes])}
        return [[EntityMatch(entities[j], score) for i, score in matches for j in ids[i]] for matches in found]

    def similar_attributes(self, texts: Sequence[str], k: int) -> list[list[AttributeMatch]]:
        """Find for each text the k normalised attributes nearest to it, best first."""
        found = self._attribute_vectors.search(self.encoder.encode(texts), k)
        names = self._store.attributes([i for matches in found for i, _ in matches])
        return [[AttributeMatch(names[i], score) for i, score in matches] for matches in found]

    def names_with_prefix(self, prefix: str, limit: int) -> list[str]:
        """List at most `limit` distinct names of entities that have an alias which starts with `prefix`."""
        entities = self._store.entities(self._names.with_prefix(normalize_name(prefix), limit))
        return list(dict.fromkeys(entity.name for entity in entities))


@contextmanager
def _damage(folder: Path) -> Iterator[None]:
    """Turn whatever a library says about a file that it cannot read into an `IndexFolderError`."""
    try:
        yield
    except Exception as error:
        reason = str(error).split("\n", 1)[0]
        raise IndexFolderError(f"index '{folder}': damaged ({reason}); build it again") from error
