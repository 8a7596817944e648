"""Which ef_search do these vectors need? Measure it, and give the collection the answer.

Makes a collection with settings that are too small for its vectors, studies a few others on it, and applies
the cheapest that finds 95 % of the exact answers. Needs no model; plots need the extra 'eval'.
Run: python examples/13_study.py
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from llama_index.core.schema import TextNode
from llama_index.core.vector_stores.types import VectorStoreQuery

from llamaindex_vecx import HNSWVectorStore
from llamaindex_vecx.evaluation.study import (
    StudyVectors,
    apply_row,
    describe,
    recommend,
    run_study,
    sweep,
)


def main() -> None:
    vectors = np.random.default_rng(0).standard_normal((3000, 32))
    with TemporaryDirectory() as folder:
        with HNSWVectorStore(path=f"{folder}/kb", M=4, ef_search=10) as store:
            store.add(
                [
                    TextNode(id_=f"n{place}", text="a passage", embedding=vector.tolist())
                    for place, vector in enumerate(vectors)
                ]
            )
            print(f"{len(store)} passages, {store}")
            held_out = StudyVectors.from_collection(store.client, hold_out=200)
            plan = sweep(M=[4, 16], ef_construction=[100], ef_search=[10, 40, 160])
            record = run_study(held_out, plan, Path(folder) / "study")
            for row in record.table():
                print(f"{describe(row)}: recall@10 {row['recall@10']:.3f}, {row['ms']:.3f} ms")
            row = recommend(record.table(), 0.95)
            print(f"Recommended: {describe(row)}; changed: {apply_row(store.client, row)}")
        with HNSWVectorStore(path=f"{folder}/kb") as store:
            query = VectorStoreQuery(query_embedding=vectors[7].tolist(), similarity_top_k=3)
            print(
                f"Opened again with M={store.M}, ef_search={store.ef_search}: {store.query(query).ids}"
            )


if __name__ == "__main__":
    main()
