"""zvec, which has no LlamaIndex store, through its own interface."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import zvec as library

from .corpus import Corpus, id_of, texts

K = 10
EF = 64
"""As in the other graphs here; it gives the same recall as ours."""

STRING, INT = library.DataType.STRING, library.DataType.INT64


class ZvecStore:
    """A collection of documents with the same text, metadata and vectors."""

    def __init__(self, folder: Path) -> None:
        path = folder / "zvec"
        if path.exists():
            self._collection = library.open(str(path))
            return
        folder.mkdir(parents=True, exist_ok=True)
        filtered = library.InvertIndexParam()
        schema = library.CollectionSchema(
            name="nodes",
            fields=[
                library.FieldSchema("text", STRING),
                library.FieldSchema("document", STRING),
                library.FieldSchema("title", STRING),
                library.FieldSchema("page", INT),
                library.FieldSchema("shelf", INT, index_param=filtered),
                library.FieldSchema("language", STRING, index_param=filtered),
                library.FieldSchema("public", STRING, index_param=filtered),
            ],
            vectors=library.VectorSchema(
                "embedding",
                library.DataType.VECTOR_FP32,
                384,
                index_param=library.HnswIndexParam(
                    metric_type=library.MetricType.COSINE, m=16, ef_construction=200
                ),
            ),
        )
        self._collection = library.create_and_open(path=str(path), schema=schema)

    def prepare(self, corpus: Corpus, rows: range) -> list[Any]:
        vectors = corpus.vectors[rows.start : rows.stop].astype("float32").tolist()
        return [
            library.Doc(
                id=id_of(row),
                fields={
                    "text": text,
                    "document": f"document {row // 10}",
                    **corpus.metadata(row),
                },
                vectors={"embedding": vector},
            )
            for row, text, vector in zip(rows, texts(rows), vectors, strict=True)
        ]

    def add(self, prepared: list[Any]) -> None:
        for first in range(0, len(prepared), 1000):  # it takes no more at a time
            done = self._collection.insert(prepared[first : first + 1000])
            assert all(status.ok() for status in done)

    def settle(self) -> None:
        self._collection.optimize()
        self._collection.flush()

    def question(self, vector: Any, wanted: tuple[str, Any] | None) -> tuple[Any, str | None]:
        param = library.HnswQueryParam(ef=EF)
        query = library.Query("embedding", vector=vector.tolist(), param=param)
        if wanted is None:
            return query, None
        value = wanted[1] if isinstance(wanted[1], int) else f"'{wanted[1]}'"
        return query, f"{wanted[0]} = {value}"

    def find(self, question: tuple[Any, str | None]) -> Any:
        return self._collection.query(question[0], topk=K, filter=question[1])

    def ids(self, answer: Any) -> list[str]:
        assert all(doc.fields["text"] and doc.fields["title"] for doc in answer)
        return [doc.id for doc in answer]

    def close(self) -> None:
        self._collection.close()
