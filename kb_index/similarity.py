"""Names and attributes near to a text: candidates by vector from every layer, then those that still exist."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice

from kb_index.normalize import normalize_name, plain_name
from kb_index.spelling import SPELLING_CANDIDATES, rank_by_spelling
from kb_index.types import AttributeMatch, EntityMatch
from kb_index.view import View

__all__ = ["similar_attributes", "similar_entities"]

MAX_HOMONYMS = 100
"""In a large knowledge base thousands of entities may share a name that is no one's in particular, such as 中国."""


def similar_entities(view: View, texts: Sequence[str], k: int) -> list[list[EntityMatch]]:
    """Find for each text the entities of the k names nearest to it, fewest errors first; `MAX_HOMONYMS` of a name."""
    vectors = view.encoder.encode(texts)
    found: list[dict[str, tuple[int, float]]] = [{} for _ in texts]
    for layer in view.layers:
        hits = layer.entity_vectors.search(vectors, max(k, SPELLING_CANDIDATES))
        for names, hits_of_text in zip(found, hits, strict=True):
            for entity_id, cosine in hits_of_text:
                name = plain_name(view.name_in(layer, entity_id))
                names.setdefault(name, (entity_id, cosine))
    return [_best(view, normalize_name(text), names, k) for text, names in zip(texts, found, strict=True)]


def _best(view: View, text: str, names: Mapping[str, tuple[int, float]], k: int) -> list[EntityMatch]:
    ranked = rank_by_spelling(
        text, [(entity_id, name, cosine) for name, (entity_id, cosine) in names.items()], len(names)
    )
    name_of = {entity_id: name for name, (entity_id, _) in names.items()}
    alive = ((view.names.ids(name_of[entity_id]), cosine) for entity_id, cosine in ranked)
    best = list(islice(((ids[:MAX_HOMONYMS], cosine) for ids, cosine in alive if ids), k))
    entities = {entity.id: entity for entity in view.entities(i for ids, _ in best for i in ids)}
    return [EntityMatch(entities[i], cosine) for ids, cosine in best for i in ids]


def similar_attributes(view: View, texts: Sequence[str], k: int) -> list[list[AttributeMatch]]:
    """Find for each text the k normalised attributes nearest to it, best first."""
    vectors = view.encoder.encode(texts)
    found: list[dict[str, float]] = [{} for _ in texts]
    for layer in view.layers:
        for names, hits in zip(found, layer.attribute_vectors.search(vectors, k), strict=True):
            names |= {layer.facts.attribute_name(number): score for number, score in hits}
    return [
        [
            AttributeMatch(name, score)
            for name, score in sorted(names.items(), key=lambda item: (-item[1], item[0]))
            if view.attribute_triples(name)
        ][:k]
        for names in found
    ]
