"""What happens in queries and writes: events, traces of them, and handlers that send these on.

Handlers are imported when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from llamaindex_vecx.observe.events import StageEvent, stage

if TYPE_CHECKING:
    from llamaindex_vecx.observe.handler import TraceHandler
    from llamaindex_vecx.observe.mlflow import MLflowHandler
    from llamaindex_vecx.observe.otel import OpenTelemetryHandler
    from llamaindex_vecx.observe.prometheus import PrometheusHandler, grafana_dashboard
    from llamaindex_vecx.observe.steps import Step
    from llamaindex_vecx.observe.switch import set_global_handler
    from llamaindex_vecx.observe.wandb import WandbHandler, log_index, use_index

__all__ = [
    "MLflowHandler",
    "OpenTelemetryHandler",
    "PrometheusHandler",
    "StageEvent",
    "Step",
    "TraceHandler",
    "WandbHandler",
    "grafana_dashboard",
    "log_index",
    "set_global_handler",
    "stage",
    "use_index",
]

_HOMES = {
    "MLflowHandler": "mlflow",
    "OpenTelemetryHandler": "otel",
    "PrometheusHandler": "prometheus",
    "Step": "steps",
    "TraceHandler": "handler",
    "WandbHandler": "wandb",
    "grafana_dashboard": "prometheus",
    "log_index": "wandb",
    "set_global_handler": "switch",
    "use_index": "wandb",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = import_module(f"{__name__}.{_HOMES[name]}")
    value = globals()[name] = getattr(home, name)
    return value
