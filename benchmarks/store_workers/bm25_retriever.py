"""LlamaIndex's BM25Retriever, in the environment that has it: texts and queries in, times and runs out."""

from __future__ import annotations

import json
import sys
import time

from llama_index.core.schema import TextNode
from llama_index.retrievers.bm25 import BM25Retriever

asked = json.load(sys.stdin)
nodes = [TextNode(id_=str(row), text=text) for row, text in enumerate(asked["texts"])]
start = time.process_time()
retriever = BM25Retriever.from_defaults(nodes=nodes, similarity_top_k=10)
built = time.process_time() - start
retriever.retrieve(asked["queries"][0])
start = time.process_time()
runs = [[int(hit.node_id) for hit in retriever.retrieve(query)] for query in asked["queries"]]
micros = (time.process_time() - start) / len(runs) * 1e6
print(json.dumps({"build_s": built, "us": micros, "runs": runs}))
