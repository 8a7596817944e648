"""A local server that speaks Pinecone's API, for development and tests: extra ``server``.

Names are imported when they are first used: pytest imports this package for its plugin at every start.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llamaindex_vecx.pinecone_local.faults import Faults
    from llamaindex_vecx.pinecone_local.server import PineconeLocal

__all__ = ["Faults", "PineconeLocal"]

_HOMES = {
    "Faults": "llamaindex_vecx.pinecone_local.faults",
    "PineconeLocal": "llamaindex_vecx.pinecone_local.server",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value
