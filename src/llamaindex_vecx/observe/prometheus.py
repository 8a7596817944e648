"""Counts, errors and latencies by stage, for Prometheus to scrape."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from typing import Any

from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.observe.extras import import_extra
from llamaindex_vecx.observe.handler import Installed
from llamaindex_vecx.observe.steps import Step

__all__ = ["PrometheusHandler", "grafana_dashboard"]

LATENCIES = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)
"""Upper bounds of the latency buckets, in seconds."""

SCORES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
"""Upper bounds of the score buckets: similarities up to 1, BM25 scores above."""


class PrometheusHandler(Installed):
    """Counts queries and writes, of any LlamaIndex store and engine, by stage and component.

    It counts in the query's thread, in memory: a scrape right after a query shows it. No text is recorded,
    so nothing of a query can leak.

    Parameters
    ----------
    port : int, optional
        Serve ``/metrics`` there; 0 takes a free port, see :attr:`port`. None serves nothing: give
        ``registry`` to an app of your own.
    host : str
        Address to listen on.
    registry : prometheus_client.CollectorRegistry, optional
        Where metrics are registered; None makes one.
    buckets : sequence of float
        Upper bounds in seconds.

    Raises
    ------
    MissingExtraError
        Without the extra ``prometheus``.
    InvalidInputError
        The port is no port, or is taken; or the registry has these metrics already.

    Examples
    --------
    >>> handler = PrometheusHandler(port=9464).install()
    """

    def __init__(
        self,
        *,
        port: int | None = None,
        host: str = "127.0.0.1",
        registry: Any | None = None,
        buckets: Sequence[float] = LATENCIES,
    ) -> None:
        if port is not None and (isinstance(port, bool) or not 0 <= port <= 65535):
            raise InvalidInputError(f"port={port!r} must be a number from 0 to 65535")
        client = import_extra("prometheus_client", "prometheus")
        self._client = client
        self.registry: Any = client.CollectorRegistry() if registry is None else registry
        by_stage = ("stage", "component")
        try:
            self._seconds = client.Histogram(
                "vecx_stage_duration_seconds",
                "Wall-clock time of a stage of a query or write.",
                by_stage,
                registry=self.registry,
                buckets=tuple(buckets),
            )
        except ValueError as error:
            raise InvalidInputError(
                f"the metrics can't be registered: {error}; use one handler a registry, and buckets "
                "in increasing order"
            ) from error
        counter, histogram = client.Counter, client.Histogram
        self._errors = counter(
            "vecx_stage_errors",
            "Stages that raised, by type of exception.",
            (*by_stage, "error"),
            registry=self.registry,
        )
        self._nodes = counter(
            "vecx_stage_nodes",
            "Nodes that a stage returned or wrote.",
            by_stage,
            registry=self.registry,
        )
        self._empty = counter(
            "vecx_stage_empty",
            "Searches and retrievals that found nothing.",
            by_stage,
            registry=self.registry,
        )
        self._scores = histogram(
            "vecx_top_score",
            "Score of the best node of a stage.",
            by_stage,
            registry=self.registry,
            buckets=SCORES,
        )
        self._tokens = counter(
            "vecx_llm_tokens",
            "Tokens as LLMs report them.",
            ("kind", "model"),
            registry=self.registry,
        )
        self._children: dict[tuple[Any, ...], Any] = {}
        self._server: Any | None = None
        self._host = host
        if port is not None:
            self._serve(port)

    def __repr__(self) -> str:
        serving = f"port={self.port}" if self._server is not None else "not serving"
        return f"PrometheusHandler({serving})"

    def _serve(self, port: int) -> None:
        try:
            self._server, self._thread = self._client.start_http_server(
                port, addr=self._host, registry=self.registry
            )
        except OSError as error:
            raise InvalidInputError(f"port={port} can't be listened on: {error}") from error

    @property
    def port(self) -> int | None:
        """Where it listens; None if it does not."""
        return None if self._server is None else int(self._server.server_port)

    def text(self) -> str:
        """What a scrape returns now."""
        exposed: bytes = self._client.generate_latest(self.registry)
        return exposed.decode("utf-8")

    def chooses(self) -> bool:
        """Every query counts."""
        return True

    def take(self, trace: Step) -> None:
        """Count a trace's steps."""
        for step in trace.walk():
            where = (step.name, step.component)
            self._child(self._seconds, where).observe(step.seconds)
            if step.error is not None:
                kind = step.error.partition(":")[0]
                self._child(self._errors, (*where, kind)).inc()
            found = step.counts.get("nodes", 0)
            if found:
                self._child(self._nodes, where).inc(found)
            elif step.name in ("search", "retrieve") and step.error is None:
                self._child(self._empty, where).inc()
            if step.scores and step.scores[0] is not None:
                self._child(self._scores, where).observe(step.scores[0])
            for token_kind in ("prompt", "completion"):
                if step.tokens.get(token_kind):
                    model = str(step.parameters.get("model", ""))
                    self._child(self._tokens, (token_kind, model)).inc(step.tokens[token_kind])

    def _child(self, metric: Any, labels: tuple[str, ...]) -> Any:
        key = (metric, labels)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = metric.labels(*labels)
        return child

    def close(self) -> None:
        """Count no more, and stop serving. May be called again."""
        super().close()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
            self._server = None


def grafana_dashboard() -> str:
    """A Grafana dashboard over these metrics, as JSON to import. It asks for a Prometheus data source."""
    return resources.files("llamaindex_vecx.observe").joinpath("grafana.json").read_text("utf-8")
