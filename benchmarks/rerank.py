"""How fast are candidates put in order? CrossEncoderRerank beside what LlamaIndex and its users have.

Texts are SciFact's abstracts, candidates those that BM25 finds for a test claim. The model is the one that
train_scifact.py trains, the same for all. One thread, CPU time, rankers interleaved and each claim ranked by
every one; on a GPU the clock. Peers run in float32, as they do unless told otherwise. Run in an environment
with the extra ``openvino``, that backend is in the table too.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from harness import DATA, arguments, describe, finish, table
from llamaindex_vecx.device import before_torch

before_torch()

import torch  # noqa: E402 - after the settings that it reads
from llama_index.core.postprocessor import SentenceTransformerRerank  # noqa: E402
from llama_index.core.schema import NodeWithScore, TextNode  # noqa: E402

from llamaindex_vecx.device import choose_device  # noqa: E402
from llamaindex_vecx.evaluation import bootstrap_interval, get_measure  # noqa: E402
from llamaindex_vecx.postprocessors import CrossEncoderRerank  # noqa: E402
from llamaindex_vecx.postprocessors.arithmetic import choose_arithmetic  # noqa: E402
from quality_data import Dataset, read_scifact  # noqa: E402
from quality_runs import bm25  # noqa: E402
from train_scifact import MODELS, base_model, model  # noqa: E402

KS = (50, 100)
ROUNDS = 3
AGREEMENT_CLAIMS = 60
AGREEMENT_K = 50
LENGTH = 512
"""Tokens of a pair; LlamaIndex's reranker sets this and nothing else."""
PEER = "LlamaIndex SentenceTransformerRerank"
ASKED = {"CrossEncoderRerank, float32": 1.4, "CrossEncoderRerank, default": 3.6}

Ranker = Callable[[str, list[NodeWithScore]], list[NodeWithScore]]


def reranker_folder(quick: bool) -> str:
    """The trained model; with --quick, where it isn't there, one with a head drawn at random."""
    if not quick or (MODELS / "reranker" / "finetune.json").exists():
        return str(model("reranker"))
    from sentence_transformers import CrossEncoder

    print("the trained reranker isn't here: speed is that of an untrained head of the same size")
    torch.manual_seed(0)
    folder = tempfile.mkdtemp()
    CrossEncoder(str(base_model()), num_labels=1, device="cpu").save_pretrained(folder)
    return folder


def rankers(folder: str, device: str) -> dict[str, Ranker]:
    from sentence_transformers import CrossEncoder

    plain = CrossEncoder(folder, max_length=LENGTH, device=device)
    llama = SentenceTransformerRerank(model=folder, top_n=1000, device=device)
    ours: dict[str, Any] = {"top_n": 1000, "max_length": LENGTH, "device": device}
    exact = CrossEncoderRerank(folder, dtype="float32", **ours)
    default = CrossEncoderRerank(folder, **ours)

    further: dict[str, Ranker] = {}
    if choose_arithmetic(None, device) == torch.int8:
        half = CrossEncoderRerank(folder, dtype="bfloat16", **ours)
        further["CrossEncoderRerank, bfloat16"] = lambda q, hits: half.postprocess_nodes(
            hits, query_str=q
        )
    if find_spec("optimum") is not None and find_spec("optimum.intel") is not None:
        openvino = CrossEncoderRerank(folder, top_n=1000, max_length=LENGTH, backend="openvino")
        further["CrossEncoderRerank, OpenVINO"] = lambda q, hits: openvino.postprocess_nodes(
            hits, query_str=q
        )

    def predict(query: str, hits: list[NodeWithScore]) -> list[NodeWithScore]:
        scores = plain.predict([(query, hit.text) for hit in hits], show_progress_bar=False)
        order = np.argsort(-scores, kind="stable")
        return [NodeWithScore(node=hits[place].node, score=float(scores[place])) for place in order]

    return {
        PEER: lambda query, hits: llama.postprocess_nodes(hits, query_str=query),
        "CrossEncoder.predict": predict,
        "CrossEncoderRerank, float32": lambda q, hits: exact.postprocess_nodes(hits, query_str=q),
        "CrossEncoderRerank, default": lambda q, hits: default.postprocess_nodes(hits, query_str=q),
        **further,
    }


def hits_of(data: Dataset, found: list[tuple[str, float]]) -> list[NodeWithScore]:
    """New nodes for each ranker: LlamaIndex's writes into those it is given."""
    return [
        NodeWithScore(node=TextNode(id_=id_, text=data.documents[int(id_)]), score=score)
        for id_, score in found
    ]


def speed(
    ways: dict[str, Ranker], data: Dataset, candidates: dict[str, Any], device: str, quick: bool
) -> list[dict[str, Any]]:
    clock = time.process_time if device == "cpu" else time.perf_counter
    rows = []
    for k in KS[:1] if quick else KS:
        spent: dict[str, list[float]] = {name: [] for name in ways}
        orders: dict[str, list[list[str]]] = {name: [] for name in ways}
        for query in list(candidates)[: 1 if quick else ROUNDS]:
            for name, ranker in ways.items():
                hits = hits_of(data, candidates[query][:k])
                start = clock()
                ranked = ranker(data.queries[int(query)], hits)
                spent[name].append(clock() - start)
                orders[name].append([hit.node_id for hit in ranked])
        base = statistics.median(spent[PEER])
        for name in ways:
            seconds = statistics.median(spent[name])
            same = [
                a == b for a, b in zip(orders[name], orders["CrossEncoder.predict"], strict=True)
            ]
            rows.append(
                {
                    "table": "speed",
                    "k": k,
                    "reranker": name,
                    "pairs/s": k / seconds,
                    "× LlamaIndex": base / seconds,
                    "asked for": ASKED.get(name) if device == "cpu" else None,
                    "same order as predict": f"{sum(same)} of {len(same)}",
                }
            )
    return rows


def agreement(
    ways: dict[str, Ranker], data: Dataset, candidates: dict[str, Any], quick: bool
) -> list[dict[str, Any]]:
    """What the default's arithmetic changes."""
    ndcg = get_measure("ndcg@10")
    shares, taus, values = [], [], []
    for query in list(candidates)[: 1 if quick else AGREEMENT_CLAIMS]:
        hits = hits_of(data, candidates[query][:AGREEMENT_K])
        exact, default = (
            [
                hit.node_id
                for hit in ways[f"CrossEncoderRerank, {name}"](data.queries[int(query)], hits)
            ]
            for name in ("float32", "default")
        )
        shares.append(len(set(exact[:10]) & set(default[:10])) / 10)
        taus.append(_tau(exact, default))
        values.append([ndcg.of(order, data.qrels[query]) for order in (exact, default)])
    exact_values, default_values = np.array(values).T
    low, high = bootstrap_interval(default_values - exact_values)
    return [
        {
            "table": "agreement",
            "claims": len(shares),
            "k": AGREEMENT_K,
            "top ten the same": f"{100 * np.mean(shares):.1f} % (asked for: 95 %)",
            "Kendall's tau": float(np.mean(taus)),
            "nDCG@10 float32": float(exact_values.mean()),
            "nDCG@10 default": float(default_values.mean()),
            "difference (asked for: within 0.003)": (
                f"{(default_values - exact_values).mean():+.4f} [{low:+.4f}, {high:+.4f}]"
            ),
        }
    ]


def _tau(first: list[str], second: list[str]) -> float:
    place = {id_: rank for rank, id_ in enumerate(second)}
    ranks = np.array([place[id_] for id_ in first])
    later = ranks[None, :] > ranks[:, None]
    pairs = len(ranks) * (len(ranks) - 1) / 2
    return float((2 * np.triu(later, 1).sum() - pairs) / pairs)


def main() -> None:
    asked = arguments(__doc__.splitlines()[0])
    if not Path(DATA).exists():
        raise SystemExit(f"{DATA} is missing; say where the data is by VECX_DATA")
    torch.set_num_threads(1)
    device = choose_device(None)
    data = read_scifact("test", asked.quick)
    candidates = bm25(data, max(KS))
    ways = rankers(reranker_folder(asked.quick), device)
    print(
        describe(
            f"{len(data.documents):,} abstracts of SciFact, claims of its test split, {device}, 1 thread, "
            f"default dtype {_default_dtype()}",
            ["sentence-transformers", "transformers", "torch"],
        )
    )
    rows = speed(ways, data, candidates, device, asked.quick)
    table("Pairs per CPU second, the median of the claims", rows)
    changes = agreement(ways, data, candidates, asked.quick)
    table("The default's order beside float32's", changes)
    finish(rows + changes, asked.json)


def _default_dtype() -> str:
    return str(choose_arithmetic(None, choose_device(None))).removeprefix("torch.")


if __name__ == "__main__":
    main()
