"""Traces as calls in W&B Weave, where it is installed."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from llamaindex_vecx.observe.extras import import_extra
from llamaindex_vecx.observe.steps import Step

__all__ = ["WeaveCalls"]


class StepError(Exception):
    """What a step raised, as text: Weave wants an exception and the own one is gone."""


class WeaveCalls:
    """Sends finished traces to a Weave project.

    Parameters
    ----------
    project, entity : str, optional
        None: the client that the app has made by ``weave.init``.
    """

    def __init__(self, project: str | None, entity: str | None) -> None:
        self._project = "/".join(filter(None, (entity, project)))
        self._client: Any | None = None

    def send(self, traces: list[Step]) -> None:
        """Each trace as a call, with a call within for each step.

        Raises
        ------
        MissingExtraError
            Weave is not installed.
        """
        if self._client is None:
            self._client = self._connect()
        for trace in traces:
            _send(self._client, trace, None)

    def _connect(self) -> Any:
        weave = import_extra("weave", "weave")
        return weave.get_client() or weave.init(self._project or "llamaindex-vecx")


def _send(client: Any, step: Step, parent: Any | None) -> None:
    call = client.create_call(
        step.name,
        step.inputs(),
        parent=parent,
        attributes={"component": step.component},
        display_name=f"{step.name} · {step.component}",
        use_stack=False,
        started_at=datetime.fromtimestamp(step.started, tz=timezone.utc),
    )
    for child in step.children:
        _send(client, child, call)
    client.finish_call(
        call,
        output={
            "answer": step.answer,
            "ids": step.ids,
            "scores": step.scores,
            "counts": step.counts,
            "tokens": step.tokens,
        },
        exception=StepError(step.error) if step.error else None,
        ended_at=datetime.fromtimestamp(step.started + step.seconds, tz=timezone.utc),
    )
