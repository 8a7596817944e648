"""The retrieval layer for LlamaIndex: durable, filterable, hybrid vector stores."""

__version__ = "0.1.0"
