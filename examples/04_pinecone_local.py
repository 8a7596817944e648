"""The classic Pinecone lesson, word for word with the stock SDK; only the host is another.

You learn to create an index, and to write, read, update and delete records in it, by namespace and filter.

Needs the extras 'pinecone' and 'server'. Run: python examples/04_pinecone_local.py
"""

import numpy as np
from pinecone import Pinecone, ServerlessSpec

from llamaindex_vecx.pinecone_local import PineconeLocal

SPEC = ServerlessSpec(cloud="aws", region="us-east-1")
PASSAGES = {
    "p1": "Containers made ports all over the world look alike.",
    "p2": "The moon has no wind, so footprints stay.",
    "p3": "A barcode is read by a beam of light.",
}


def embed(text: str, dimension: int) -> list[float]:
    """Stands for a model: the same text gives the same vector."""
    seed = int.from_bytes(text.encode()[:8].ljust(8, b"\0"), "little")
    return np.random.default_rng(seed).normal(size=dimension).tolist()


def texts(client: Pinecone) -> None:
    client.create_index(name="lesson", dimension=384, metric="cosine", spec=SPEC)
    index = client.Index(host=client.describe_index("lesson").host)
    index.upsert(
        vectors=[
            {
                "id": id_,
                "values": embed(text, 384),
                "metadata": {"text": text, "words": len(text.split())},
            }
            for id_, text in PASSAGES.items()
        ],
        namespace="notes",
    )
    print(f"{index.describe_index_stats().total_vector_count} passages in the index 'lesson'")

    answer = index.query(
        vector=embed(PASSAGES["p2"], 384),
        top_k=2,
        namespace="notes",
        filter={"words": {"$gte": 8}},
        include_values=True,
        include_metadata=True,
    )
    for match in answer.matches:
        print(
            f"  {match.score:6.3f}  {match.id}  {match.metadata['text']}  ({len(match.values)} values)"
        )

    index.update(id="p2", set_metadata={"checked": True}, namespace="notes")
    print("updated:", index.fetch(ids=["p2"], namespace="notes").vectors["p2"].metadata)
    index.delete(ids=["p1"], namespace="notes")
    print(f"after a delete: {index.describe_index_stats().total_vector_count} passages")


def images(client: Pinecone) -> None:
    """An index for CLIP's vectors of 512 dimensions."""
    client.create_index(name="images", dimension=512, metric="cosine", spec=SPEC)
    index = client.Index(host=client.describe_index("images").host)
    names = [f"img_{number:03}.jpg" for number in range(300)]
    vectors = [
        (name, embed(name[::-1], 512), {"width": 640 + number % 3, "tags": ["photo", name[-5]]})
        for number, name in enumerate(names)
    ]
    for start in range(0, len(vectors), 100):
        index.upsert(vectors=vectors[start : start + 100])
    answer = index.query(id="img_042.jpg", top_k=3, filter={"tags": "photo"}, include_metadata=True)
    print("like img_042.jpg:", ", ".join(match.id for match in answer.matches))


def main() -> None:
    with PineconeLocal() as server:
        client = Pinecone(api_key="local", host=server.url)
        texts(client)
        images(client)


if __name__ == "__main__":
    main()
