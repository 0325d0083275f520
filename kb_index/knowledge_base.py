"""The one face of an open index: names, triples, attributes and vectors, read-only.

Look-ups only: which of the entities a question means, and which triple answers it, is the agent's to decide.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from copy import copy
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from kb_index.closing import Closing
from kb_index.encoder import Encoder
from kb_index.look_ups import LookUps, entities_listed, matches
from kb_index.manifest import Manifest, read_manifest
from kb_index.normalize import normalize_attribute, normalize_name
from kb_index.shards.opening import AS_USUAL, Engine, Opening
from kb_index.similarity import similar_attributes, similar_entities
from kb_index.types import AttributeMatch, Entity, EntityMatch, NameMatch, Triple

__all__ = ["KnowledgeBase"]


class KnowledgeBase(Closing):
    """An open index; safe to use from several threads, and a context manager that closes it.

    It shows the index as it was when it was opened, whatever updates come after, until it is reopened.
    """

    def __init__(self, path: Path, view: LookUps, opening: Opening = AS_USUAL) -> None:
        self.path, self.opening = path, opening
        self._view, self._held = view, ExitStack()

    @classmethod
    def open(
        cls, path: str | Path, *, partial: bool = False, engine: Engine = "local", ray_address: str | None = None
    ) -> KnowledgeBase:
        """Open an index folder; vectors and encoder are loaded when they are first asked for.

        An index in shards is opened here, or with `engine="ray"` by an actor for each shard, on the cluster that this
        process is connected to, or else on that of `ray_session`. With `partial`, shards that cannot be opened, or are
        lost later, are done without; `missing_shards` lists them.

        Raises:
            IndexFolderError: the folder is no index, is damaged, or is of another schema version.
            InputError: Ray is to ask the shards of an index that has none, or there is no cluster at the address.
            MissingExtraError: Ray is not installed.
        """
        opening = Opening(partial, engine, ray_address)
        with ExitStack() as held:
            opened = cls(Path(path), opening.open(Path(path), held), opening)
            opened._held = held.pop_all()
        return opened

    def reopen(self) -> bool:
        """Show what the folder holds now; says whether that has changed since it was opened, or shards were missing.

        Look-ups that other threads have begun end in the old state. An error leaves the old state in place.

        Raises:
            IndexFolderError: as `open`.
        """
        if read_manifest(self.path) == self.manifest and not self.missing_shards:
            return False
        self._view = self.opening.open(self.path, self._held)
        return True

    def pinned(self) -> Self:
        """The same open index, but for what `reopen` does to this object: look-ups that belong together see one state.

        It shares the open files: close the original only.
        """
        return copy(self)

    def close(self) -> None:
        """Close the files; the object cannot be used after that."""
        view = vars(self).pop("_view", None)  # its files stay mapped, and take space, for as long as somebody has it
        if view is not None:
            view.close()
        self._held.close()

    def preload(self) -> None:
        """Load the vectors of names and the encoder, for which the first look-up of a similar name would wait.

        Raises:
            EncoderMismatchError, IndexFolderError, ModelError, MissingExtraError: as `encoder`.
        """
        self.similar_entities([""], 1)

    @property
    def manifest(self) -> Manifest:
        """What the build and the updates recorded."""
        return self._view.manifest

    @property
    def missing_shards(self) -> Sequence[str]:
        """The shards of an index opened with `partial` that its answers do without."""
        return self._view.missing_shards

    @property
    def encoder(self) -> Encoder:
        """The encoder that the vectors were made with.

        Raises:
            EncoderMismatchError: the model of that name now makes vectors of another length.
            IndexFolderError: the index has been built again since it was opened, before its encoder was first used.
            ModelError, MissingExtraError: the encoder cannot be loaded.
        """
        return self._view.encoder

    def mentions(self, text: str) -> list[NameMatch]:
        """Find every stretch of a text that is an alias, overlapping ones included, by start and then by end.

        Offsets are into `text` as given. An alias of one character counts only in quotation marks or as whole text.
        """
        return matches(self._view.mentions(text))

    def ids_named(self, names: Sequence[str]) -> list[tuple[int, ...]]:
        """List for each name the entities that have it as an alias; width, case and blanks do not count."""
        return [tuple(called.ids()) for called in self._view.called(list(map(normalize_name, names)))]

    def entities(self, ids: Sequence[int]) -> list[Entity]:
        """Look up the entities with these ids, in ascending order; an unknown id is left out."""
        return self._view.entities(ids)

    def entities_named(self, name: str) -> list[Entity]:
        """Look up the entities that have a name as an alias; width, case and blanks do not count."""
        (ids,) = self.ids_named([name])
        return self.entities(ids)

    def triples_of(self, entity_ids: Sequence[int]) -> list[Triple]:
        """Look up all triples about these entities, grouped by subject in ascending order of its id."""
        return self._view.triples_of(entity_ids)

    def triples_by_id(self, ids: Sequence[int]) -> list[Triple]:
        """Look up the triples with these ids, in ascending order; an unknown id is left out."""
        return self._view.triples_by_id(ids)

    def triples_about(self, name: str, limit: int = 100, listed: bool = False) -> list[Triple]:
        """Look up at most `limit` triples whose object is a name (of at most 40 characters), however it is written.

        With `listed`, also those whose object is a list with that name in it.
        """
        return self._view.triples_about(normalize_name(name), limit, listed)

    def with_extra(self, triples: Iterable[Triple]) -> list[Triple]:
        """Give the triples with the extra columns that their lines had."""
        listed = list(triples)
        extra = self._view.extra([t.id for t in listed])
        return [t._replace(extra=extra.get(t.id, ())) for t in listed]

    def attribute_frequency(self, predicates: Sequence[str]) -> NDArray[np.int64]:
        """Count in how many triples each attribute occurs, however it is written, (n_predicates,); 0 if unknown."""
        return np.array(self._view.attribute_triples(list(map(normalize_attribute, predicates))), dtype=np.int64)

    def attributes_of_entities(self, most: int) -> tuple[list[str], NDArray[np.int64], NDArray[np.int64]]:
        """Pair entities with their attributes: the normalised attributes, and two arrays of (n_pairs,), each pair once.

        The arrays number entities, from 0 and in no order that means something, and attributes by their place in the
        list, which is sorted. Of a large knowledge base about `most` entities are looked at, spread evenly.
        """
        view = self._view
        names, entities, attributes = view.attributes_of(view.some_entities(most))
        there = sorted(np.unique(attributes).tolist(), key=names.__getitem__)
        number = np.zeros(len(names), np.int64)
        number[there] = np.arange(len(there))
        order = np.lexsort((number[attributes], entities))
        return [names[i] for i in there], entities[order], number[attributes[order]]

    def similar_entities(self, texts: Sequence[str], k: int) -> list[list[EntityMatch]]:
        """Find for each text the entities of the k names nearest to it, misspelt or not, best first.

        Names are compared without their descriptions. Entities that share a name are all listed, up to 100 of them, in
        ascending order of id, so that a list can be longer than k.
        """
        return similar_entities(self._view, texts, k)

    def similar_attributes(self, texts: Sequence[str], k: int) -> list[list[AttributeMatch]]:
        """Find for each text the k normalised attributes nearest to it, best first."""
        return similar_attributes(self._view, texts, k)

    def names_with_prefix(self, prefix: str, limit: int) -> list[str]:
        """List at most `limit` distinct names of entities that have an alias which starts with `prefix`."""
        return list(dict.fromkeys(entity.name for entity in self.entities_with_prefix(prefix, limit)))

    def entities_with_prefix(self, prefix: str, limit: int) -> list[Entity]:
        """List at most `limit` entities that have an alias which starts with `prefix`, in ascending order of id."""
        view = self._view
        # An entity comes for each alias, perhaps twice: 20 times as many entries bound the time, and mostly are enough.
        return view.entities(entities_listed(view.listed(normalize_name(prefix), 20 * limit), limit))
