"""Upserts in batches, several at a time; exactly what failed is tried again or named."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from llamaindex_vecx.errors import InvalidInputError, PartialWriteError, RemoteError, VecxError
from llamaindex_vecx.stores.pinecone.api import DataAPI, HalfStoredError
from llamaindex_vecx.stores.pinecone.limits import MAX_REQUEST
from llamaindex_vecx.stores.pinecone.port import Port
from llamaindex_vecx.stores.pinecone.records import Record, size_of

__all__ = ["batches", "upsert_all"]

_NUMBER = 22
"""Bytes that a number takes at most in JSON, with its comma."""

_MOST_REFUSED = 20
_ATTEMPTS_AT_HALF_A_BATCH = 5


def batches(records: Sequence[Record], size: int) -> list[list[Record]]:
    """Records in order, at most ``size`` a batch and at most what one request may carry."""
    made: list[list[Record]] = []
    room = 0
    for record in records:
        takes = _bytes(record)
        if not made or len(made[-1]) >= size or takes > room:
            made.append([])
            room = MAX_REQUEST
        made[-1].append(record)
        room -= takes
    return made


def _bytes(record: Record) -> int:
    numbers = (0 if record.values is None else len(record.values)) + 2 * len(
        record.sparse[0] if record.sparse else ()
    )
    # JSON in ASCII at worst: the SDK sends UTF-8
    return 200 + _NUMBER * numbers + size_of(record.fields) + len(record.text.encode())


@dataclass
class _Outcome:
    """What became of each record. Several batches write to it."""

    stored: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    refused: int = 0
    stopped: VecxError | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def done(self, records: Sequence[Record]) -> None:
        with self.lock:
            self.stored.update(record.node_id for record in records)

    def fail(self, records: Sequence[Record], reason: object) -> None:
        with self.lock:
            self.failed.update((record.node_id, str(reason)) for record in records)

    def stop(self, records: Sequence[Record], error: VecxError) -> None:
        """An error that all other requests would meet too."""
        self.fail(records, error)
        with self.lock:
            self.stopped = self.stopped or error


async def upsert_all(
    port: Port,
    api: DataAPI,
    records: Sequence[Record],
    *,
    batch_size: int,
    max_concurrency: int,
    advance: Callable[[int], None],
) -> None:
    """Store all records. ``advance`` is told how many more are done.

    Raises
    ------
    PartialWriteError
        Some were not stored; names these, and those that were.
    InvalidInputError, RemoteError
        Nothing was stored.
    """
    outcome = _Outcome()

    async def write(batch: list[Record]) -> None:
        await _store(port, api, batch, outcome)
        advance(len(batch))

    await port.gather(
        [partial(write, batch) for batch in batches(records, batch_size)],
        max_concurrency,
    )
    _judge(records, outcome)


async def _store(port: Port, api: DataAPI, batch: list[Record], outcome: _Outcome) -> None:
    if outcome.stopped is not None:
        outcome.fail(batch, f"not sent after: {outcome.stopped}")
        return
    try:
        await _whole(port, api, batch)
        outcome.done(batch)
    except InvalidInputError as error:
        await _halve(port, api, batch, outcome, error)
    except RemoteError as error:
        if error.status == 413:
            await _halve(port, api, batch, outcome, error)
        elif error.status is not None and error.status < 500 and error.status != 429:
            outcome.stop(batch, error)
        else:
            outcome.fail(batch, error)


async def _whole(port: Port, api: DataAPI, batch: list[Record]) -> None:
    """The service may take some of a batch. Upserts replace, so the whole is sent again."""
    for attempt in range(_ATTEMPTS_AT_HALF_A_BATCH):
        try:
            return await api.upsert(port, batch)
        except HalfStoredError:
            if attempt + 1 == _ATTEMPTS_AT_HALF_A_BATCH:
                raise
            await port.sleep(0.1 * 2**attempt)
    return None


async def _halve(
    port: Port, api: DataAPI, batch: list[Record], outcome: _Outcome, error: VecxError
) -> None:
    """A refused batch is cut in two until the record that is refused stands alone."""
    if len(batch) > 1:
        middle = len(batch) // 2
        await _store(port, api, batch[:middle], outcome)
        await _store(port, api, batch[middle:], outcome)
        return
    outcome.fail(batch, error)
    with outcome.lock:
        outcome.refused += 1
        if outcome.refused >= _MOST_REFUSED:
            outcome.stopped = outcome.stopped or error


def _judge(records: Sequence[Record], outcome: _Outcome) -> None:
    if not outcome.failed:
        return
    first, reason = next(iter(outcome.failed.items()))
    stored = [record.node_id for record in records if record.node_id in outcome.stored]
    if not stored and outcome.stopped is not None and outcome.refused == 0:
        raise outcome.stopped
    all_refused = isinstance(outcome.stopped, InvalidInputError)
    if not stored and (all_refused or outcome.refused == len(outcome.failed)):
        raise InvalidInputError(f"no node was stored, first node {first!r}: {reason}")
    raise PartialWriteError(
        f"{len(outcome.failed)} of {len(records)} nodes were not stored, first node {first!r}: "
        f"{reason}. The error's .failed names them; adding them again is safe",
        stored,
        outcome.failed,
    )
