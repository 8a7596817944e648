"""Records that LlamaIndex's own Pinecone store wrote."""

from __future__ import annotations

from llamaindex_vecx.errors import MissingIndexError
from llamaindex_vecx.stores.pinecone.api import DataAPI
from llamaindex_vecx.stores.pinecone.port import Port
from llamaindex_vecx.stores.pinecone.records import CONTENT, MARK, node_of

__all__ = ["has_document_ids"]


async def has_document_ids(port: Port, api: DataAPI) -> bool:
    """Whether the namespace's ids are ``document#node``, judged by its first record of a node."""
    try:
        ids, _ = await api.ids(port, None)
    except MissingIndexError:  # a namespace that has no record yet
        return False
    joined = [id_ for id_ in ids if "#" in id_][:1]
    for found in await api.fetch(port, joined) if joined else []:
        fields = found.fields or {}
        if CONTENT in fields and MARK not in fields:
            node = node_of(found, text_key="text")
            return found.id == f"{node.ref_doc_id}#{node.node_id}"
    return False
