"""multilingual-e5-small for KorQuAD, without the model: the shared data's vectors, looked up by text.

    PYTHONPATH=benchmarks vecx eval …/korquad/KorQuAD_v1.0_dev.json.gz --from kb --ingest \
        --model korquad_e5:KorquadE5 --limit 1000
"""

from __future__ import annotations

import gzip
import json
from functools import cache

import numpy as np
from llama_index.core.base.embeddings.base import BaseEmbedding

from harness import DATA


@cache
def _vectors() -> dict[str, list[float]]:
    folder = DATA / "korquad"
    with gzip.open(folder / "KorQuAD_v1.0_dev.json.gz", "rt", encoding="utf-8") as file:
        articles = json.load(file)["data"]
    passages: dict[str, str] = {}
    questions: list[str] = []
    for article in articles:
        for paragraph in article["paragraphs"]:
            passages.setdefault(paragraph["context"], f"{article['title']} {paragraph['context']}")
            questions += [asked["question"] for asked in paragraph["qas"]]
    with np.load(folder / "dev-e5small.npz") as stored:
        answers = dict(
            zip(passages.values(), stored["passages"].astype(float).tolist(), strict=True)
        )
        asked = stored["queries"].astype(float).tolist()
    return {**answers, **dict(zip(questions[: len(asked)], asked, strict=True))}


class KorquadE5(BaseEmbedding):
    """Of the 961 passages (after their title, as `--ingest` stores it) and the first 1,000 questions."""

    def _get_text_embedding(self, text: str) -> list[float]:
        return _vectors()[text]

    def _get_query_embedding(self, query: str) -> list[float]:
        return _vectors()[query]

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_query_embedding(query)
