from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from llama_index.core.vector_stores.types import BasePydanticVectorStore

from .cases import CASES, CLAIMS, StoreCase
from .library import library

Opener = Callable[..., BasePydanticVectorStore]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(*claims): runs against the stores that claim these")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" not in metafunc.fixturenames:
        return
    needed = {claim for mark in metafunc.definition.iter_markers("needs") for claim in mark.args}
    assert needed <= CLAIMS.keys(), f"unknown claims {needed - CLAIMS.keys()}"
    cases = [case for case in CASES if needed <= case.claims]
    metafunc.parametrize("case", cases, ids=str)


@pytest.fixture
def case(request: pytest.FixtureRequest) -> StoreCase:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def opened(case: StoreCase, tmp_path: Path) -> Iterator[Opener]:
    """Opens the case's store at one folder; closes whatever was opened."""
    stores: list[BasePydanticVectorStore] = []

    def open_(**settings: object) -> BasePydanticVectorStore:
        store = case.make(tmp_path, **settings)
        stores.append(store)
        return store

    yield open_
    for store in stores:
        if hasattr(store, "close"):
            store.close()


@pytest.fixture
def store(opened: Opener) -> BasePydanticVectorStore:
    return opened()


@pytest.fixture
def filled(store: BasePydanticVectorStore) -> BasePydanticVectorStore:
    """The store with the ten books of :mod:`library` in it."""
    store.add(library())
    return store
