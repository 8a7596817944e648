# %% [markdown]
"""
# BM25 by hand, and ours

You learn what a keyword search scores: rare words, how often they stand in a passage, and how long that is.
Ten lines do it; `BM25Retriever` gives the same scores, in Korean as in English.

Needs no extra. Run: `python examples/07_bm25.py`, or open the notebook of the same name.
"""

# %%
import math
from collections import Counter
from pathlib import Path

from llama_index.core.schema import TextNode

from llamaindex_vecx import BM25Retriever
from llamaindex_vecx.text import get_tokenizer

HERE = Path(__file__).parent if "__file__" in globals() else Path()  # a notebook has no file

nodes = [
    TextNode(text=section.strip(), metadata={"file": file.stem, "language": file.parent.name})
    for file in sorted((HERE / "data").glob("*/*.md"))
    for section in file.read_text(encoding="utf-8").split("\n## ")[1:]
]
print(f"{len(nodes)} passages")

# %% [markdown]
# ## Words
#
# A search for "onions" must find "onion": English words are cut to their stems. Korean glues its particles
# to the nouns, so Korean is cut into pairs of characters, which need no dictionary. Words that say nothing
# ("why", "do", "you") are left out.

# %%
tokenize = get_tokenizer("default")
for text in ("Why do onions make you cry?", "김치는 어떻게 담그나?"):
    print(text, "→", tokenize(text))

# %% [markdown]
# ## The score
#
# For each word of the question: how rare it is among all passages, times how often it stands in this one.
# The second occurrence counts less than the first (`k1`), and a word in a long passage less than one in a
# short passage (`b`).


# %%
def by_hand(question: str, texts: list[str], k1: float = 1.2, b: float = 0.75) -> list[float]:
    """What each text scores."""
    documents = [Counter(tokenize(text)) for text in texts]
    average = sum(document.total() for document in documents) / len(documents)
    scores = [0.0] * len(documents)
    for word in tokenize(question):
        having = sum(word in document for document in documents)
        rarity = math.log(1 + (len(documents) - having + 0.5) / (having + 0.5))
        for place, document in enumerate(documents):
            length = k1 * (1 - b + b * document.total() / average)
            scores[place] += rarity * document[word] / (document[word] + length)
    return scores


# %% [markdown]
# ## Ours, beside it
#
# `BM25Retriever` keeps an inverted index: a list of passages for each word. So it looks only at passages
# that have a word of the question, and returns none that has none.

# %%
retriever = BM25Retriever(nodes, similarity_top_k=3)
for question in ("Why do onions make you cry?", "김치는 어떻게 담그나?"):
    scores = by_hand(question, [node.text for node in nodes])
    order = sorted(range(len(nodes)), key=lambda place: -scores[place])
    print(question)
    for place, hit in zip(order, retriever.retrieve(question), strict=False):
        title = hit.node.get_content().splitlines()[0]
        print(
            f"  {hit.score:.3f} (by hand {scores[place]:.3f})  {hit.node.metadata['file']}: {title}"
        )
        assert abs(hit.get_score() - scores[place]) < 1e-5
