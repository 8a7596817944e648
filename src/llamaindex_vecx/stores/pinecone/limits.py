"""What Pinecone takes: limits and names, and how our ids and metrics are spelled there."""

from __future__ import annotations

import base64
import binascii

from llamaindex_vecx.errors import InvalidInputError

__all__ = [
    "MAX_EXACT",
    "MAX_FETCH",
    "MAX_ID",
    "MAX_IN",
    "MAX_METADATA",
    "MAX_REQUEST",
    "MAX_TOP_K",
    "METRIC_OF",
    "PINECONE_METRIC",
    "node_id_of",
    "vector_id_of",
]

MAX_ID = 512
"""Bytes of an id, ASCII."""

MAX_TOP_K = 10_000
MAX_METADATA = 40 * 1024
"""Bytes of one vector's metadata as JSON."""

MAX_REQUEST = 1_900_000
"""Bytes of one upsert; the service refuses more than 2 MB."""

MAX_FETCH = 100
"""Records a reading request asks for: a page of any size of metadata stays under 4 MB."""

MAX_IN = 10_000
"""Values of one ``$in``."""

MAX_EXACT = 2**53
"""Numbers are kept as float64: whole numbers up to this one are exact."""

PINECONE_METRIC = {"cosine": "cosine", "ip": "dotproduct", "l2": "euclidean"}
METRIC_OF = {theirs: ours for ours, theirs in PINECONE_METRIC.items()}

_ESCAPED = "vecx64:"


def vector_id_of(node_id: str) -> str:
    """The id a node has in Pinecone: its own, or an ASCII spelling where that is none.

    Raises
    ------
    InvalidInputError
        The id is empty, or longer than Pinecone's 512 bytes.
    """
    if not isinstance(node_id, str) or not node_id:
        raise InvalidInputError(f"node id {node_id!r} must be a non-empty str")
    wire = node_id
    if not node_id.isascii() or "\0" in node_id or node_id.startswith(_ESCAPED):
        encoded = node_id.encode("utf-8", "surrogatepass")
        wire = _ESCAPED + base64.urlsafe_b64encode(encoded).decode().rstrip("=")
    if len(wire) > MAX_ID:
        raise InvalidInputError(
            f"node id {node_id[:60]!r}… takes {len(wire)} bytes in Pinecone, which takes {MAX_ID}; "
            "give the node a shorter id_"
        )
    return wire


def node_id_of(vector_id: str) -> str:
    """The inverse of :func:`vector_id_of`; ids of other writers stay as they are."""
    if not vector_id.startswith(_ESCAPED):
        return vector_id
    encoded = vector_id[len(_ESCAPED) :]
    try:
        padded = encoded + "=" * (-len(encoded) % 4)
        return base64.urlsafe_b64decode(padded).decode("utf-8", "surrogatepass")
    except (binascii.Error, UnicodeDecodeError):
        return vector_id
