"""Pagination tokens: opaque to a client, the place to go on from to us."""

from __future__ import annotations

import base64
import binascii

from llamaindex_vecx.pinecone_local.errors import invalid

__all__ = ["place", "read_limit", "row_place", "token"]


def token(place: str) -> str:
    """The token of a place."""
    return base64.urlsafe_b64encode(place.encode()).decode()


def place(token: str | None) -> str | None:
    """The place of a token, None for none.

    Raises
    ------
    ApiError
        400: it is none of ours.
    """
    if not token:
        return None
    try:
        return base64.b64decode(token.encode(), altchars=b"-_", validate=True).decode()
    except (ValueError, binascii.Error, UnicodeError):
        raise invalid("Invalid pagination token") from None


def row_place(token: str | None) -> int:
    """The row of a token, -1 for none."""
    found = place(token)
    if found is None:
        return -1
    if not found.isascii() or not found.isdigit() or len(found) > 9:
        raise invalid("Invalid pagination token")
    return int(found)


def read_limit(text: str | None, most: int, default: int) -> int:
    """A page's size from a query parameter."""
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= most:
        raise invalid(f"limit must be between 1 and {most}, got '{text:.40}'")
    return int(text)
