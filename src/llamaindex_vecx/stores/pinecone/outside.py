"""Texts too long for Pinecone's metadata, kept in a docstore of the user's."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from llama_index.core.schema import BaseNode

from llamaindex_vecx.errors import StorageError
from llamaindex_vecx.stores.pinecone.port import Port
from llamaindex_vecx.stores.pinecone.records import OUTSIDE, Found, node_of

if TYPE_CHECKING:
    from llama_index.core.storage.docstore import BaseDocumentStore

__all__ = ["drop", "fill", "keep"]


async def keep(port: Port, docstore: BaseDocumentStore | None, nodes: Sequence[BaseNode]) -> None:
    """Put nodes into the docstore, without their embeddings."""
    if docstore is None or not nodes:
        return
    plain = [node.model_copy(update={"embedding": None}) for node in nodes]
    await port.either(
        lambda: docstore.add_documents(plain), lambda: docstore.async_add_documents(plain)
    )


async def drop(port: Port, docstore: BaseDocumentStore | None, node_ids: Sequence[str]) -> None:
    """Delete nodes from the docstore; those that aren't there are ignored."""
    if docstore is None:
        return
    for node_id in node_ids:
        await port.either(
            partial(docstore.delete_document, node_id, raise_error=False),
            partial(docstore.adelete_document, node_id, raise_error=False),
        )


async def fill(
    port: Port, docstore: BaseDocumentStore | None, found: Sequence[Found], *, text_key: str
) -> None:
    """Give each record its node, those with their text outside from the docstore.

    Raises
    ------
    StorageError
        The docstore lacks a text, or the store was opened without one.
    """
    for one in found:
        one.node = node_of(one, text_key=text_key)
        if not (one.fields or {}).get(OUTSIDE):
            continue
        node_id = one.node.node_id
        kept: BaseNode | None = None
        if docstore is not None:
            kept = await port.either(
                partial(docstore.get_document, node_id, raise_error=False),
                partial(docstore.aget_document, node_id, raise_error=False),
            )
        if kept is None:
            raise StorageError(
                f"the text of node {node_id!r} is too long for Pinecone and was put into a docstore; "
                f"{'this docstore lacks it' if docstore else 'open the store with that docstore=…'}"
            )
        one.node = kept.model_copy(update={"embedding": one.node.embedding})
