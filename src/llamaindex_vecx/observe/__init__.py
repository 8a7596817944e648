"""What happened, said through LlamaIndex's instrumentation."""

from llamaindex_vecx.observe.events import StageEvent, stage

__all__ = ["StageEvent", "stage"]
