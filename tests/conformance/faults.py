"""What peers get wrong, as cases of this suite that they fail.

A peer's faults run as expected failures: the case must fail, and for the reason that the fault names. One
that passes fails the run, so that the list never says of a peer what is no longer true.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

import pytest

from .cases import StoreCase

__all__ = ["FAULT", "Fault", "Peer", "case_key", "function_of", "judge", "load_peer"]


@dataclass(frozen=True)
class Fault:
    """One fault: a case of the suite, and what its failure says."""

    what: str
    case: str
    """``file.py::function``, with ``[parameters]`` where only these show the fault."""
    because: str
    """A regular expression that the failure's ``Type: message`` holds."""
    store: Callable[..., object] | None = None
    """How to make the store, where the peer's own way would fail before the case begins."""


@dataclass(frozen=True)
class Peer:
    """A store beside ours, how to make one, and its faults."""

    name: str
    make: Callable[..., object]
    faults: tuple[Fault, ...]
    distribution: str = "llama-index-core"

    def store_case(self, fault: Fault) -> StoreCase:
        """The peer as the suite sees it. What it claims does not matter: the fault names the case."""
        make = fault.store or self.make
        suffix = "" if fault.store is None else f" {make.__name__}"
        return StoreCase(f"fault of {self.name}{suffix}", make, frozenset(), self.distribution)  # type: ignore[arg-type]

    def faults_in(self, function: str) -> list[Fault]:
        """The faults that the test function shows."""
        return [fault for fault in self.faults if fault.case.partition("[")[0] == function]


FAULT = pytest.StashKey[Fault]()


def load_peer(name: str) -> Peer:
    """The ``PEER`` of the module of that name in :mod:`.peers`."""
    peer = import_module(f"{__package__}.peers.{name}").PEER
    assert isinstance(peer, Peer)
    return peer


def function_of(item: pytest.Item | pytest.FunctionDefinition) -> str:
    """``file.py::function`` of a test."""
    return f"{item.path.name}::{item.originalname}"  # type: ignore[attr-defined]


def case_key(item: pytest.Item, case: StoreCase) -> str:
    """``file.py::function[parameters]`` of a test, without the case."""
    parameters = item.callspec.id  # type: ignore[attr-defined]
    for around in (f"{case}-", f"-{case}", str(case)):
        if around in parameters:
            rest = parameters.replace(around, "", 1)
            return function_of(item) + (f"[{rest}]" if rest else "")
    raise AssertionError(f"{item.nodeid} has no parameter {case}")


def judge(fault: Fault, peer: str, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Turn a peer's failure into an expected one, and whatever else happens into a failure."""
    if call.excinfo is None:
        if report.when == "call":
            report.outcome = "failed"
            report.longrepr = (
                f"{peer} no longer fails here: {fault.what!r}; remove it from the peer's list"
            )
        return
    if (
        report.outcome == "skipped"
    ):  # what the case needs is not installed, so it says nothing about the peer
        return
    said = f"{call.excinfo.typename}: {call.excinfo.value}"
    if re.search(fault.because, said, re.DOTALL):
        report.outcome = "skipped"
        report.wasxfail = fault.what
    else:
        report.outcome = "failed"
        report.longrepr = (
            f"{peer} fails, but not because of {fault.what!r}: {said!r} has no {fault.because!r}"
        )
