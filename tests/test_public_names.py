"""What is public is listed, and what is listed is there."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import llamaindex_vecx
from llamaindex_vecx import errors

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(llamaindex_vecx.__path__, "llamaindex_vecx.")
    if not module.name.endswith("__main__")
)


@pytest.mark.parametrize("name", MODULES)
def test_all_names_exist_and_modules_have_docstrings(name):
    module = importlib.import_module(name)
    assert module.__doc__, f"{name} says nothing about itself"
    for public in getattr(module, "__all__", []):
        assert hasattr(module, public)


def test_the_package_exports_exactly_its_all():
    assert set(llamaindex_vecx._HOMES) == set(llamaindex_vecx.__all__) - {"__version__"}
    assert set(llamaindex_vecx.__all__) <= set(dir(llamaindex_vecx))
    for name in llamaindex_vecx.__all__:
        assert getattr(llamaindex_vecx, name)
    with pytest.raises(AttributeError, match="nonsense"):
        llamaindex_vecx.nonsense


def test_every_exception_is_listed_drawn_and_ours():
    raised = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, Exception)
    }
    assert raised == set(errors.__all__)
    for name in raised:
        assert issubclass(getattr(errors, name), errors.VecxError)
        assert name in (errors.__doc__ or ""), (
            f"{name} is missing from the hierarchy in the docstring"
        )
