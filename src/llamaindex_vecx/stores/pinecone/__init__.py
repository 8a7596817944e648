"""Pinecone as a LlamaIndex vector store, over the SDK's releases 9 and 10 and both data APIs."""

from llamaindex_vecx.stores.pinecone.store import PineconeVectorStore

__all__ = ["PineconeVectorStore"]
