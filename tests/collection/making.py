"""Records, filters and folders for tests."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from llama_index.core.vector_stores.types import MetadataFilter, MetadataFilters
from numpy.typing import NDArray

from llamaindex_vecx.collection import Collection, Record

DIM = 8


def vector(i: int, dim: int = DIM) -> NDArray[np.float32]:
    return np.random.default_rng(i).standard_normal(dim).astype(np.float32)


def record(i: int, *, version: int = 0, dim: int = DIM, **metadata: Any) -> Record:
    """Everything of record ``i`` follows from ``i`` and its version."""
    return Record(
        f"id{i}",
        vector(1000 * version + i, dim),
        f"cat number{i} version{version}",
        {"n": i, "version": version, **metadata},
        f"content {i} {version}",
        f"doc{i // 10}",
    )


def one(key: str, operator: str, value: Any = None) -> MetadataFilters:
    return MetadataFilters(
        filters=[MetadataFilter.model_construct(key=key, operator=operator, value=value)]
    )


def ids(collection: Collection, rows: Any) -> list[str]:
    return [found.id for found in collection.records(rows) if found is not None]


def all_ids(collection: Collection) -> set[str]:
    return set(ids(collection, collection.all_rows()))


@contextmanager
def silence() -> Iterator[None]:
    """Nothing warns in here. (A warning as an error would not do: ours never become exceptions.)"""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        # what other tests of this process left open is collected at any moment
        warnings.simplefilter("ignore", ResourceWarning)
        yield
    said = [str(warning.message) for warning in caught]
    assert not said, said
