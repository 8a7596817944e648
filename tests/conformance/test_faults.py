"""A list of faults is only worth something if it is checked both ways."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from .faults import Fault, judge

FAULT = Fault("delete wipes all", "test_x.py::test_y", "DID NOT RAISE")


def judged(raised: BaseException | None, when: str = "call") -> SimpleNamespace:
    call = SimpleNamespace(excinfo=None)
    if raised is not None:
        call.excinfo = SimpleNamespace(typename=type(raised).__name__, value=raised)
    outcome = "passed" if raised is None else "failed"
    if isinstance(raised, pytest.skip.Exception):
        outcome = "skipped"
    report = SimpleNamespace(when=when, outcome=outcome, longrepr=None)
    judge(FAULT, "Peer", call, report)
    return report


@pytest.mark.parametrize("when", ["setup", "call"])
def test_a_peer_that_fails_as_listed_is_expected_to(when):
    report = judged(AssertionError("DID NOT RAISE ValueError"), when)
    assert (report.outcome, report.wasxfail) == ("skipped", FAULT.what)


def test_a_peer_that_passes_fails_the_run():
    report = judged(None)
    assert report.outcome == "failed"
    assert "Peer no longer fails here: 'delete wipes all'; remove it" in report.longrepr


def test_a_peer_that_fails_for_another_reason_fails_the_run():
    report = judged(RuntimeError("no space left"))
    assert report.outcome == "failed"
    assert "RuntimeError: no space left" in report.longrepr


def test_a_setup_that_works_is_not_judged():
    assert judged(None, "setup").outcome == "passed"


def test_a_case_that_needs_something_missing_stays_skipped():
    report = judged(pytest.skip.Exception("scikit-learn is not installed"))
    assert (report.outcome, hasattr(report, "wasxfail")) == ("skipped", False)
