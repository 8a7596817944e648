from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from llama_index.core.vector_stores.types import BasePydanticVectorStore

from .cases import CASES, CLAIMS, StoreCase
from .faults import FAULT, Fault, case_key, function_of, judge, load_peer
from .library import library

Opener = Callable[..., BasePydanticVectorStore]

# By default the whole suite, and the faults of the peer that every installation of LlamaIndex has. In the
# environment of another peer only what shows its faults, by it and by ours.
ONLY_FAULTS = "VECX_PEER" in os.environ
PEER = load_peer(os.environ.get("VECX_PEER", "simple"))
if ONLY_FAULTS:
    CASES = CASES[:1]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(*claims): runs against the stores that claim these")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" not in metafunc.fixturenames:
        return
    needed = {claim for mark in metafunc.definition.iter_markers("needs") for claim in mark.args}
    assert needed <= CLAIMS.keys(), f"unknown claims {needed - CLAIMS.keys()}"
    cases = [case for case in CASES if needed <= case.claims]
    faulty = [PEER.store_case(fault) for fault in PEER.faults_in(function_of(metafunc.definition))]
    metafunc.parametrize("case", [*cases, *dict.fromkeys(faulty)], ids=str)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep of a peer's cases, and in its environment of ours, those that a fault names."""
    kept, dropped = [], []
    shown: set[Fault] = set()
    for item in items:
        case = getattr(item, "callspec", None) and item.callspec.params.get("case")  # type: ignore[attr-defined]
        if not isinstance(case, StoreCase):
            (dropped if ONLY_FAULTS else kept).append(item)
            continue
        key, function = case_key(item, case), function_of(item)
        faults = [fault for fault in PEER.faults_in(function) if fault.case in (key, function)]
        if case in CASES:
            (kept if faults or not ONLY_FAULTS else dropped).append(item)
            continue
        faults = [fault for fault in faults if PEER.store_case(fault) == case]
        if faults:
            item.stash[FAULT] = faults[0]
            shown.add(faults[0])
        (kept if faults else dropped).append(item)
    items[:] = kept
    config.hook.pytest_deselected(items=dropped)
    if not any("::" in argument for argument in config.args):
        _check_that_cases_exist(shown, {item.path.name for item in (*kept, *dropped)})


def _check_that_cases_exist(shown: set[Fault], files: set[str]) -> None:
    """A fault that names no case would never be checked."""
    missing = {
        fault.case
        for fault in PEER.faults
        if fault not in shown and fault.case.split("::")[0] in files
    }
    if missing:
        raise pytest.UsageError(f"faults of {PEER.name} name no case: {', '.join(sorted(missing))}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    fault = item.stash.get(FAULT, None)
    if fault is not None and report.when != "teardown":
        judge(fault, PEER.name, call, report)
    return report


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
