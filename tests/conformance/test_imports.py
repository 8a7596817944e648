"""A store can be imported where only what its package declares is installed."""

from __future__ import annotations

import functools
import subprocess
import sys

import pytest

SCRIPT = '''
import sys
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from packaging.requirements import Requirement

def plain(name):
    return name.lower().replace("_", "-").replace(".", "-")

def declare(distribution, extras, known):
    """Add what the distribution asks for when it is installed with these extras."""
    known.setdefault(plain(distribution), set())
    for extra in {"", *extras} - known[plain(distribution)]:
        known[plain(distribution)].add(extra)
        try:
            lines = requires(distribution) or []
        except PackageNotFoundError:
            continue
        for asked in map(Requirement, lines):
            if asked.marker is None or asked.marker.evaluate({"extra": extra}):
                declare(asked.name, asked.extras, known)

distribution, module = sys.argv[1:]
known = {}
declare(distribution, (), known)
blocked = {
    package
    for package, owners in packages_distributions().items()
    if not any(plain(owner) in known for owner in owners)
}

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in blocked:
            raise ModuleNotFoundError(f"{name} is imported and not declared", name=name)

sys.meta_path.insert(0, Blocker())
__import__(module)
'''


@functools.cache
def imported(distribution: str, module: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT, distribution, module],
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if done.returncode == 0 else done.stderr[-2000:]


@pytest.mark.needs("declared")
def test_the_import_needs_only_what_is_declared(case, store):
    said = imported(case.distribution, type(store).__module__)
    assert said == "", said[-500:]
