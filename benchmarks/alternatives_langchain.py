"""LangChain's FAISS store in `alternatives.py`: one document a triple, vectors by kbqa's default encoder.

The store comes from langchain-community, whose last version it is; it saves its documents as a pickle, so only a file
of one's own may be opened.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from alternatives_matching import Row, read

from kb_index.encoder import CHAR_STATIC, StaticEncoder, build_char_static

with warnings.catch_warnings():  # the package tells at import that it is no longer maintained
    warnings.simplefilter("ignore", DeprecationWarning)
    from langchain_community.docstore.in_memory import InMemoryDocstore
    from langchain_community.vectorstores import FAISS
from langchain_core.embeddings import Embeddings

DOCUMENTS_AT_ONCE = 50_000

DIM = 128
"""Twice the length that kbqa gives names: whole triples need it, and find .574 with it and .460 without."""


class CharStatic(Embeddings):
    """kbqa's default encoder as LangChain wants it."""

    def __init__(self, folder: Path) -> None:
        self.encoder = StaticEncoder(CHAR_STATIC, folder)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Encode documents."""
        vectors: list[list[float]] = self.encoder.encode(texts).tolist()
        return vectors

    def embed_query(self, text: str) -> list[float]:
        """Encode a question."""
        return self.embed_documents([text])[0]


class LookUp:
    """An open store."""

    retrieve = None

    def __init__(self, store: Any) -> None:
        self._store = store

    def first(self, question: str, n: int) -> list[Row]:
        """The `n` nearest documents."""
        parts = (document.page_content.split("\t", 2) for document in self._store.similarity_search(question, k=n))
        return [(s, p, o) for s, p, o in parts]


def documents(source: Path) -> Iterator[str]:
    """The distinct triples as texts, tabs between their parts; white space has no part in the vectors."""
    return iter(dict.fromkeys("\t".join(row) for row in read(source)))


def build(source: Path, folder: Path) -> None:
    """Make the encoder, add the documents in batches, save."""
    import faiss

    (folder / "encoder").mkdir()
    build_char_static(documents(source), folder / "encoder", seed=0, dim=DIM)
    embeddings = CharStatic(folder / "encoder")
    store = FAISS(embeddings, faiss.IndexFlatL2(embeddings.encoder.dim), InMemoryDocstore(), {})
    texts = documents(source)
    while batch := list(islice(texts, DOCUMENTS_AT_ONCE)):
        store.add_texts(batch)
    store.save_local(str(folder / "store"))


def open_saved(source: Path, folder: Path) -> LookUp:  # noqa: ARG001 - all that is needed is in the folder
    """Load the store that `build` saved."""
    embeddings = CharStatic(folder / "encoder")
    return LookUp(FAISS.load_local(str(folder / "store"), embeddings, allow_dangerous_deserialization=True))
