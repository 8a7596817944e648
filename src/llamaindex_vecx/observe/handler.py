"""What all handlers share: what is recorded, what of it may leave, and who gets it when."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable
from types import TracebackType
from typing import Any, TypeVar

from llamaindex_vecx.checks import check_count
from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.observe.background import Background
from llamaindex_vecx.observe.callbacks import StepCallbacks
from llamaindex_vecx.observe.recorder import attach, detach
from llamaindex_vecx.observe.redaction import DEFAULT_TEXTS, Redactor
from llamaindex_vecx.observe.steps import Step
from llamaindex_vecx.observe.tokens import count_tokens

__all__ = ["Installed", "TraceHandler"]

Self = TypeVar("Self", bound="Installed")


class Installed:
    """On and off: what a handler is, whatever it does with traces. A taker of the recorder's."""

    wants_texts = False

    def chooses(self) -> bool:
        """Whether the query that begins now is recorded."""
        raise NotImplementedError

    def take(self, trace: Step) -> None:
        """A finished trace; called in the query's thread."""
        raise NotImplementedError

    def install(self: Self) -> Self:
        """Record every query and write of this process from now on, over any LlamaIndex store or engine."""
        attach(self)
        return self

    def uninstall(self) -> None:
        """Record nothing more. What was recorded is still delivered."""
        detach(self)

    def callback_handler(self) -> StepCallbacks:
        """A legacy handler for ``CallbackManager([...])``, which gives this one the same traces.

        Where :meth:`install` is on as well, it adds only what spans don't tell, e.g. the rerankers of
        LlamaIndex, so that nothing is recorded twice.
        """
        return StepCallbacks(self)

    def close(self) -> None:
        """Uninstall, and let go of everything. May be called again."""
        self.uninstall()

    def __enter__(self: Self) -> Self:
        return self.install()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class TraceHandler(Installed):
    """Takes traces, a tree of :class:`Step` for each query or write, and delivers them in the background.

    A subclass says in :meth:`deliver` where they go. Nothing that happens there reaches a query.

    Parameters
    ----------
    sample : float
        Share of queries to record, in (0, 1]. Each is recorded whole or not at all.
    texts : collection of str
        Which texts are recorded: ``"questions"``, ``"answers"``, ``"errors"`` (these three by default),
        ``"prompts"``, ``"nodes"``. Secrets are struck out of whatever is recorded.
    redact : callable, optional
        Run over each text that is recorded, e.g. to strike out names.
    secrets : iterable of str
        Values that must appear nowhere, beside what looks like a secret by itself.
    interval : float
        Seconds between deliveries.
    queue_size : int
        Traces that may wait for delivery. What comes beyond is dropped and counted in ``dropped``.

    Raises
    ------
    InvalidInputError

    Examples
    --------
    >>> with handler:  # recorded from here …
    ...     engine.query("…")
    ... # … to here; what was recorded is delivered
    """

    wait_at_close: float | None = 30.0
    """Seconds that :meth:`close` waits for the last deliveries."""

    def __init__(
        self,
        *,
        sample: float = 1.0,
        texts: Collection[str] = DEFAULT_TEXTS,
        redact: Callable[[str], str] | None = None,
        secrets: Iterable[str] = (),
        interval: float = 2.0,
        queue_size: int = 10_000,
    ) -> None:
        if isinstance(sample, bool) or not isinstance(sample, (int, float)) or not 0 < sample <= 1:
            raise InvalidInputError(
                f"sample={sample!r} must be above 0 and at most 1: the share of queries to record"
            )
        if isinstance(interval, bool) or not isinstance(interval, (int, float)) or interval <= 0:
            raise InvalidInputError(f"interval={interval!r} must be a number of seconds above 0")
        check_count(queue_size, "queue_size")
        self.sample: float = float(sample)
        self._redactor = Redactor(texts, redact, secrets)
        self.wants_texts: bool = "nodes" in self._redactor.texts
        self._background: Background[tuple[Step, Any]] = Background(
            self._work, name=type(self).__name__, interval=float(interval), most=queue_size
        )

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(sample={self.sample:g}, texts={sorted(self._redactor.texts)})"
        )

    # ------------------------------------------------------------------ for subclasses

    def deliver(self, traces: list[tuple[Step, Any]]) -> None:
        """Send finished traces on, redacted, each with what :meth:`surroundings` returned."""
        raise NotImplementedError

    def surroundings(self) -> Any:
        """What of the query's thread is needed at delivery. Called there, so it must cost nothing."""
        return None

    # ------------------------------------------------------------------ what the recorder calls

    def chooses(self) -> bool:
        """Whether the query that begins now is recorded."""
        return self.sample >= 1.0 or random.random() < self.sample

    def take(self, trace: Step) -> None:
        """Queue a finished trace."""
        self._background.put((trace, self.surroundings()))

    def _work(self, batch: list[tuple[Step, Any]]) -> None:
        ready = []
        for trace, around in batch:
            count_tokens(trace)
            ready.append((self._redactor.step(trace), around))
        self.deliver(ready)

    # ------------------------------------------------------------------ for users

    @property
    def dropped(self) -> int:
        """Traces that found no room in the queue."""
        return self._background.dropped

    def flush(self, timeout: float | None = None) -> bool:
        """Deliver what was recorded until now. False if that takes longer than ``timeout`` seconds."""
        return self._background.flush(timeout)

    def close(self) -> None:
        """Uninstall, deliver what is left, and let go of everything. May be called again."""
        super().close()
        self._background.close(self.wait_at_close)
