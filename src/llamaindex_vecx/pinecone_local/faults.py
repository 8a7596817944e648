"""Trouble on demand, so that a client's retries and waits can be tested."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, field

from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.pinecone_local.errors import ApiError

__all__ = ["Faults"]


@dataclass
class Faults:
    """What goes wrong, and how often. All can be changed while the server runs.

    Only the data plane suffers, so that a test can still make and remove its indexes.

    Attributes
    ----------
    latency : float
        Seconds that each answer waits.
    fail_rate : float
        Share of requests, from 0 to 1, that get a 503 and are not carried out.
    reset_rate : float
        Share of requests whose connection is cut instead of answered: half of them are carried out, half
        are not, and the client can't know.
    throttle : float
        Requests a second that are let through, 0 for all; others get a 429.
    retry_after : float
        Seconds in the ``Retry-After`` header of a 429.
    consistency : float
        Seconds until a write becomes visible to reads.
    seed : int, optional
        Makes the choice of victims repeatable.
    counts : dict
        How many requests were ``"failed"``, ``"throttled"``, ``"cut before"`` and ``"cut after"``.

    Raises
    ------
    InvalidInputError
        A number is out of range, when it is given at the beginning.
    """

    latency: float = 0.0
    fail_rate: float = 0.0
    reset_rate: float = 0.0
    throttle: float = 0.0
    retry_after: float = 1.0
    consistency: float = 0.0
    seed: int | None = None
    counts: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("latency", "throttle", "retry_after", "consistency"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise InvalidInputError(f"{name}={getattr(self, name)!r} must be at least 0")
        for name in ("fail_rate", "reset_rate"):
            if not 0 <= getattr(self, name) <= 1:
                raise InvalidInputError(f"{name}={getattr(self, name)!r} must be from 0 to 1")
        self._random = random.Random(self.seed)
        self._lock = threading.Lock()
        self._tokens = 1.0
        self._refilled = time.monotonic()

    def reset(self) -> None:
        """Nothing goes wrong any more, and the counts begin anew."""
        self.latency = self.fail_rate = self.reset_rate = self.throttle = self.consistency = 0.0
        self.counts = {}

    def refuse(self) -> None:
        """Raise the 429 or 503 that this request draws, if any.

        Raises
        ------
        ApiError
        """
        if self.throttle > 0 and not self._let_through():
            self._count("throttled")
            raise ApiError(
                429,
                "RESOURCE_EXHAUSTED",
                "Request rate limit exceeded. Please retry later.",
                {"Retry-After": f"{self.retry_after:g}"},
            )
        if self._draws(self.fail_rate):
            self._count("failed")
            raise ApiError(503, "UNAVAILABLE", "Service unavailable")

    def cut(self) -> str | None:
        """Whether this request's connection is cut: "before" or "after" it is carried out, or None."""
        if not self._draws(self.reset_rate):
            return None
        when = "before" if self._draws(0.5) else "after"
        self._count(f"cut {when}")
        return when

    def _draws(self, rate: float) -> bool:
        with self._lock:
            return rate > 0 and self._random.random() < rate

    def _let_through(self) -> bool:
        """A token bucket that holds a second's worth."""
        with self._lock:
            now = time.monotonic()
            filled = self._tokens + (now - self._refilled) * self.throttle
            self._tokens, self._refilled = min(filled, max(1.0, self.throttle)), now
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True

    def _count(self, what: str) -> None:
        with self._lock:
            self.counts[what] = self.counts.get(what, 0) + 1
