"""Keyword search: tokenizers, and BM25 on an index that takes updates. No LlamaIndex here."""

from llamaindex_vecx.text.bm25 import BM25
from llamaindex_vecx.text.prepared import PreparedQueries
from llamaindex_vecx.text.tokenizers import Tokenizer, get_tokenizer, register_tokenizer

__all__ = ["BM25", "PreparedQueries", "Tokenizer", "get_tokenizer", "register_tokenizer"]
