"""What the commands tell one to type can be typed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from llamaindex_vecx.cli.console import command_line


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    program = tmp_path / "bin" / "vecx"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return program


def test_a_program_that_the_shell_finds_is_named(installed, monkeypatch):
    monkeypatch.setenv("PATH", str(installed.parent))
    monkeypatch.setattr(sys, "argv", [str(installed), "demo"])
    assert command_line() == "vecx"


@pytest.mark.parametrize("folders", ["", "elsewhere"])
def test_one_that_it_does_not_find_is_given_by_its_path(installed, monkeypatch, tmp_path, folders):
    other = tmp_path / "elsewhere" / "vecx"
    other.parent.mkdir()
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / folders) if folders else "")
    monkeypatch.setattr(sys, "argv", [str(installed), "demo"])
    assert command_line() == str(installed)


def test_from_python_it_is_named(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["-m"])
    assert command_line() == "vecx"
