"""Names and attributes near to a text: candidates by vector from all parts of an index, then those that still exist."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from kb_index.look_ups import LookUps
from kb_index.normalize import normalize_name
from kb_index.spelling import SPELLING_CANDIDATES, rank_by_spelling
from kb_index.types import AttributeMatch, EntityMatch

__all__ = ["similar_attributes", "similar_entities"]

MAX_HOMONYMS = 100
"""In a large knowledge base thousands of entities may share a name that is no one's in particular, such as 中国."""

TIED_ATTRIBUTES = 50
"""So many more attributes are fetched than are asked for, so that names as near as the last one come in their order."""


def similar_entities(view: LookUps, texts: Sequence[str], k: int) -> list[list[EntityMatch]]:
    """Find for each text the entities of the k names nearest to it, fewest errors first; `MAX_HOMONYMS` of a name."""
    found = view.near_names(view.encoder.encode(texts), max(k, SPELLING_CANDIDATES))
    return [_best(view, normalize_name(text), names, k) for text, names in zip(texts, found, strict=True)]


def _best(view: LookUps, text: str, names: Mapping[str, tuple[int, float]], k: int) -> list[EntityMatch]:
    ranked = rank_by_spelling(
        text, [(entity_id, name, cosine) for name, (entity_id, cosine) in names.items()], len(names)
    )
    name_of = {entity_id: name for name, (entity_id, _) in names.items()}
    best = list(islice(_alive(view, [(name_of[i], cosine) for i, cosine in ranked], k), k))
    entities = {entity.id: entity for entity in view.entities(i for ids, _ in best for i in ids)}
    # A shard may have been lost since the names were found.
    return [EntityMatch(entities[i], cosine) for ids, cosine in best for i in ids if i in entities]


def _alive(view: LookUps, named: Sequence[tuple[str, float]], at_once: int) -> Iterator[tuple[tuple[int, ...], float]]:
    """Yield the entities of the names that some still have; names of those that an update replaced may be no one's."""
    for start in range(0, len(named), max(1, at_once)):
        some = named[start : start + at_once]
        for called, (_, cosine) in zip(view.called([name for name, _ in some]), some, strict=True):
            if ids := called.ids():
                yield ids[:MAX_HOMONYMS], cosine


def similar_attributes(view: LookUps, texts: Sequence[str], k: int) -> list[list[AttributeMatch]]:
    """Find for each text the k normalised attributes nearest to it, best first."""
    found = []
    for names in view.near_attributes(view.encoder.encode(texts), k + TIED_ATTRIBUTES):
        ranked = sorted(names.items(), key=lambda item: (-item[1], item[0]))
        counts = view.attribute_triples([name for name, _ in ranked])
        alive = [AttributeMatch(*pair) for pair, n in zip(ranked, counts, strict=True) if n]
        found.append(alive[:k])
    return found
