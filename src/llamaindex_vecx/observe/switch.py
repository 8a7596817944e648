"""One line to switch a handler on, for the whole process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from importlib import import_module
from typing import Any

from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.observe.handler import Installed

__all__ = ["HANDLERS", "set_global_handler"]

HANDLERS = {
    "wandb": ("llamaindex_vecx.observe.wandb", "WandbHandler"),
    "prometheus": ("llamaindex_vecx.observe.prometheus", "PrometheusHandler"),
    "opentelemetry": ("llamaindex_vecx.observe.otel", "OpenTelemetryHandler"),
    "mlflow": ("llamaindex_vecx.observe.mlflow", "MLflowHandler"),
}
"""What each name stands for."""

_on: dict[str, Installed] = {}
_lock = threading.Lock()


def set_global_handler(name: str | None, **options: Any) -> Installed | None:
    """Switch a handler on; every query and write of the process is recorded from now on.

    Several may be on at once, one of each name: a second call with a name replaces the first, which is
    closed. ``set_global_handler(None)`` closes them all.

    Parameters
    ----------
    name : str or None
        ``"wandb"``, ``"prometheus"``, ``"opentelemetry"`` or ``"mlflow"``.
    **options
        Of the handler, e.g. ``project="rag"`` or, as with LlamaIndex's, ``run_args={"project": "rag"}``.

    Returns
    -------
    handler or None
        The one that is on now.

    Raises
    ------
    InvalidInputError
        An unknown name, or an option that the handler does not have; what was on stays on.
    MissingExtraError

    Examples
    --------
    >>> set_global_handler("wandb", project="rag")
    """
    if name is not None and name not in HANDLERS:
        raise InvalidInputError(f"handler {name!r} must be None or among {', '.join(HANDLERS)}")
    with _lock:
        if name is None:
            for one in list(_on):
                _on.pop(one).close()
            return None
        module, cls = HANDLERS[name]
        make: Callable[..., Installed] = getattr(import_module(module), cls)
        replaced = _on.get(name)
        if replaced is not None and "port" in options:
            _on.pop(name).close()  # it may hold that port
            replaced = None
        try:
            handler = make(**options)
        except TypeError as error:
            raise InvalidInputError(f"{cls}: {error}") from error
        if replaced is not None:
            replaced.close()
        _on[name] = handler.install()
        return handler
