"""Texts too long for Pinecone's metadata, kept in a docstore of the user's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from llama_index.core.schema import BaseNode

from llamaindex_vecx.errors import StorageError
from llamaindex_vecx.stores.pinecone.port import Port
from llamaindex_vecx.stores.pinecone.records import OUTSIDE, Found, node_of

if TYPE_CHECKING:
    from llama_index.core.storage.docstore import BaseDocumentStore

__all__ = ["Outside"]


@dataclass(frozen=True)
class Outside:
    """The part of a docstore that belongs to one namespace of one index.

    Nodes stand there under ``index/namespace/node id``, so that tenants may share a docstore. Their
    relationships are in Pinecone alone: a docstore would keep a list of each document's nodes.
    """

    docstore: BaseDocumentStore | None
    index: str
    namespace: str

    def _key(self, node_id: str) -> str:
        return f"{self.index}/{self.namespace}/{node_id}"

    async def keep(self, port: Port, nodes: Sequence[BaseNode]) -> None:
        """Put nodes into the docstore, without their embeddings."""
        docstore = self.docstore
        if docstore is None or not nodes:
            return
        kept = [
            node.model_copy(
                update={"id_": self._key(node.node_id), "embedding": None, "relationships": {}}
            )
            for node in nodes
        ]
        await port.either(
            partial(docstore.add_documents, kept), partial(docstore.async_add_documents, kept)
        )

    async def drop(self, port: Port, node_ids: Sequence[str]) -> None:
        """Delete nodes from the docstore; those that aren't there are ignored."""
        if self.docstore is None:
            return
        for key in map(self._key, node_ids):
            await port.either(
                partial(self.docstore.delete_document, key, raise_error=False),
                partial(self.docstore.adelete_document, key, raise_error=False),
            )

    async def fill(self, port: Port, found: Sequence[Found], *, text_key: str) -> None:
        """Give each record its node, those with their text outside from the docstore.

        Raises
        ------
        StorageError
            The docstore lacks a text, or the store was opened without one.
        """
        for one in found:
            node = one.node = node_of(one, text_key=text_key)
            if (one.fields or {}).get(OUTSIDE):
                kept = await self._kept(port, node.node_id)
                own = {
                    "id_": node.node_id,
                    "embedding": node.embedding,
                    "relationships": node.relationships,
                }
                one.node = kept.model_copy(update=own)

    async def _kept(self, port: Port, node_id: str) -> BaseNode:
        kept: BaseNode | None = None
        if self.docstore is not None:
            key = self._key(node_id)
            kept = await port.either(
                partial(self.docstore.get_document, key, raise_error=False),
                partial(self.docstore.aget_document, key, raise_error=False),
            )
        if kept is None:
            raise StorageError(
                f"the text of node {node_id!r} is too long for Pinecone and was put into a docstore; "
                + ("this docstore lacks it" if self.docstore else "open the store with docstore=…")
            )
        return kept
