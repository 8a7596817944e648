"""Queries and writes in Weights & Biases."""

from __future__ import annotations

import os
import sys
from collections import defaultdict, deque
from collections.abc import Mapping
from typing import Any

from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.observe.handler import TraceHandler
from llamaindex_vecx.observe.steps import Step
from llamaindex_vecx.observe.wandb.artifacts import log_index, use_index
from llamaindex_vecx.observe.wandb.client import LazyRun, import_wandb, is_disabled
from llamaindex_vecx.observe.wandb.tree import COLUMNS, row, trace_tree
from llamaindex_vecx.observe.wandb.weave import WeaveCalls

__all__ = ["WandbHandler"]

_REMEMBERED = 10_000
"""Values that a histogram is made of: the last ones."""


class WandbHandler(TraceHandler):
    """Records each query as a W&B trace tree, metrics, and a row of the table ``queries``.

    The run is opened with the first query, in the background. Where W&B is down or there is no API key, it
    is written to files, and a warning says how to upload them. ``WANDB_MODE`` is obeyed.

    Parameters
    ----------
    project, entity, name : str, optional
        Of the run.
    run : wandb run, optional
        Take this one, and don't finish it. A run that the app has opened is found without.
    mode : {"online", "offline", "shared", "disabled"}, optional
        None is ``WANDB_MODE``, or online.
    dir : str or path, optional
        Where the folder ``wandb`` is made; None is ``WANDB_DIR``, or the current folder.
    run_args : mapping, optional
        Further arguments of ``wandb.init``, as LlamaIndex's handler takes them.
    timeout : float
        Seconds that W&B may take to answer before the run is written to files.
    weave : bool, optional
        Send traces to Weave as well. None: if the app has imported ``weave``.
    **options
        Of :class:`~llamaindex_vecx.observe.TraceHandler`: ``sample``, ``texts``, ``redact``, ``secrets``,
        ``interval``, ``queue_size``.

    Raises
    ------
    MissingExtraError
        Without the extra ``wandb``.
    InvalidInputError

    Examples
    --------
    >>> handler = WandbHandler(project="rag").install()
    >>> engine.query("…")
    >>> handler.close()
    """

    def __init__(
        self,
        project: str | None = None,
        *,
        entity: str | None = None,
        name: str | None = None,
        run: Any | None = None,
        mode: str | None = None,
        dir: str | os.PathLike[str] | None = None,
        run_args: Mapping[str, Any] | None = None,
        timeout: float = 20.0,
        weave: bool | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if run_args is not None and not isinstance(run_args, Mapping):
            raise InvalidInputError(
                f"run_args must be a mapping of arguments of wandb.init, not {run_args!r}"
            )
        import_wandb()
        given = {"project": project, "entity": entity, "name": name, "mode": mode}
        given["dir"] = None if dir is None else os.fspath(dir)
        arguments = {**(run_args or {}), **{k: v for k, v in given.items() if v is not None}}
        self._off = is_disabled(arguments.get("mode"))
        self._run = LazyRun(run, timeout, arguments)
        self._weave = WeaveCalls(arguments.get("project"), arguments.get("entity"))
        self._with_weave = weave
        self._table: Any | None = None
        self._totals: dict[str, int] = defaultdict(int)
        self._seen: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=_REMEMBERED))

    @property
    def run(self) -> Any:
        """The W&B run. Opens it now if no query has."""
        return self._run.get()

    def chooses(self) -> bool:
        """Nothing where W&B is disabled."""
        return not self._off and super().chooses()

    def deliver(self, traces: list[tuple[Step, Any]]) -> None:
        """Log traces, then what they add up to."""
        run = self._run.get()
        rows = []
        for trace, _ in traces:
            if trace.is_query:
                rows.append(row(trace))
                run.log({"trace": trace_tree(trace), **self._query_metrics(trace)})
            else:
                run.log(self._write_metrics(trace))
        self._log_sums(run, rows)
        if self._weave_is_wanted(run):
            self._weave.send([trace for trace, _ in traces])

    def _weave_is_wanted(self, run: Any) -> bool:
        if self._with_weave is None:
            return "weave" in sys.modules and not run.offline
        return self._with_weave

    def _query_metrics(self, trace: Step) -> dict[str, Any]:
        metrics: dict[str, Any] = {"query/latency_ms": trace.seconds * 1e3}
        self._seen["latency_ms/query"].append(trace.seconds * 1e3)
        metrics["query/nodes"] = len(trace.results().ids)
        if trace.top_score is not None:
            metrics["query/top_score"] = trace.top_score
        for kind, number in trace.total_tokens().items():
            metrics[f"query/{kind}_tokens"] = number
        for stage, seconds in trace.seconds_by_stage().items():
            metrics[f"stage/{stage}/latency_ms"] = seconds * 1e3
            self._seen[f"latency_ms/{stage}"].append(seconds * 1e3)
        for step in trace.walk():
            self._seen[f"score/{step.name}"].extend(s for s in step.scores if s is not None)
        self._totals["queries"] += 1
        self._totals["errors"] += trace.first_error() is not None
        return metrics

    def _write_metrics(self, trace: Step) -> dict[str, Any]:
        self._totals["errors"] += trace.error is not None
        return {
            f"write/{trace.name}/latency_ms": trace.seconds * 1e3,
            **{f"write/{trace.name}/{kind}": number for kind, number in trace.counts.items()},
        }

    def _log_sums(self, run: Any, rows: list[list[Any]]) -> None:
        wandb = import_wandb()
        sums: dict[str, Any] = {f"total/{name}": n for name, n in self._totals.items()}
        sums["total/dropped"] = self.dropped
        if rows:
            if self._table is None:
                self._table = wandb.Table(
                    columns=list(COLUMNS), log_mode="INCREMENTAL", allow_mixed_types=True
                )
            for one in rows:
                self._table.add_data(*one)
            sums["queries"] = self._table
            for name, values in self._seen.items():
                if values:
                    sums[f"histogram/{name}"] = wandb.Histogram(list(values))
        run.log(sums)

    def log_index(self, index: Any, name: str, **options: Any) -> Any:
        """:func:`~llamaindex_vecx.observe.log_index` to this handler's run."""
        return log_index(index, name, run=self.run, **options)

    def use_index(self, artifact: str, path: str | os.PathLike[str], **options: Any) -> Any:
        """:func:`~llamaindex_vecx.observe.use_index` by this handler's run."""
        return use_index(artifact, path, run=self.run, **options)

    def close(self) -> None:
        """Record nothing more, deliver what is left, and finish the run if it was opened here."""
        super().close()
        self._run.finish(self.wait_at_close)
        self._table = None
