"""Requests that are made again when that helps, and errors in our own words.

The SDK tries four times and ignores a RetryConfig on its data clients, so what comes through after that is
counted here: ask again, wait as long as ``Retry-After`` says, and stop after a time that is known.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any

from llamaindex_vecx.errors import (
    AccessDeniedError,
    InvalidInputError,
    MissingIndexError,
    RemoteError,
    VecxError,
)
from llamaindex_vecx.stores.pinecone.port import Port

__all__ = ["Retry", "asked", "in_our_words", "retried"]

_AGAIN = frozenset((408, 425, 429, 500, 502, 503, 504))


@dataclass(frozen=True)
class Retry:
    """When to ask again.

    Attributes
    ----------
    seconds : float
        How long one request may take with everything that is tried.
    first, longest : float
        Seconds of the first wait where the service names none, doubled each time, and of the longest.
    """

    seconds: float = 180.0
    first: float = 0.2
    longest: float = 20.0


async def retried(
    port: Port, operation: Callable[[Any], Any], retry: Retry, *, write: bool = False
) -> Any:
    """The operation's result, asked again while that can help.

    Raises
    ------
    InvalidInputError
        The service found the request wrong.
    AccessDeniedError, MissingIndexError, RemoteError
    """
    from pinecone.errors import PineconeError

    until = time.monotonic() + retry.seconds
    pause = retry.first
    while True:
        try:
            return await port.call(operation, write=write)
        except PineconeError as error:
            if not _worth_another(error):
                raise in_our_words(error) from error
            told = _retry_after(error)
            # jitter, so that those who failed together don't come back together
            wait = told if told is not None else random.uniform(pause / 2, pause)
            if time.monotonic() + wait > until:
                raise in_our_words(error, f" (tried for {retry.seconds:g} s)") from error
            pause = min(2 * pause, retry.longest)
        await port.sleep(wait)


def asked(operation: Callable[[], Any]) -> Any:
    """A control-plane request; the SDK's own retries are enough there.

    Raises
    ------
    InvalidInputError, AccessDeniedError, MissingIndexError, RemoteError
    """
    from pinecone.errors import PineconeError

    try:
        return operation()
    except PineconeError as error:
        raise in_our_words(error) from error


def _worth_another(error: Exception) -> bool:
    from pinecone.errors import ApiError, PineconeConnectionError, PineconeTimeoutError

    if isinstance(error, ApiError):
        return error.status_code in _AGAIN
    return isinstance(error, (PineconeConnectionError, PineconeTimeoutError))


def _retry_after(error: Exception) -> float | None:
    """Seconds that the service asked for, by either form of the header (RFC 9110, 10.2.3)."""
    headers = getattr(error, "headers", None) or {}
    value = next((headers[name] for name in headers if name.lower() == "retry-after"), None)
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (at - datetime.now(timezone.utc)).total_seconds())


def in_our_words(error: Exception, suffix: str = "") -> VecxError:
    """The exception of ours that says what one of the SDK's does."""
    from pinecone.errors import ApiError, PineconeTypeError, PineconeValueError

    if isinstance(error, (PineconeValueError, PineconeTypeError)):
        return InvalidInputError(f"Pinecone's SDK refuses the request: {error}")
    if not isinstance(error, ApiError):
        return RemoteError(f"Pinecone did not answer{suffix}: {error}")
    status = error.status_code
    if status in (401, 403):
        return AccessDeniedError(
            f"Pinecone refused the API key ({status}): {error.message}; check api_key or "
            "PINECONE_API_KEY, and that the key belongs to the index's project",
            status,
        )
    if status == 404:
        return MissingIndexError(f"Pinecone knows no such index: {error.message}", status)
    if status in (400, 422):
        return InvalidInputError(f"Pinecone refused the request ({status}): {error.message}")
    return RemoteError(f"Pinecone answered {status}{suffix}: {error.message}", status)
