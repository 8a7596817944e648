"""BM25 by hand in ten lines, then BM25Retriever on the same passages: the same order.

You learn what a keyword search scores: rare words, how often they stand in a passage, and how long that is.

Needs no extra. Run: python examples/07_bm25.py
"""

import math
from collections import Counter
from pathlib import Path

from llama_index.core.schema import TextNode

from llamaindex_vecx import BM25Retriever
from llamaindex_vecx.text import get_tokenizer

DATA = Path(__file__).parent / "data"
QUESTIONS = ["Why do onions make you cry?", "김치는 어떻게 담그나?"]


def read() -> list[TextNode]:
    """One node for each section of the corpus."""
    return [
        TextNode(text=section.strip(), metadata={"file": file.stem, "language": file.parent.name})
        for file in sorted(DATA.glob("*/*.md"))
        for section in file.read_text(encoding="utf-8").split("\n## ")[1:]
    ]


def by_hand(question: str, texts: list[str], k1: float = 1.2, b: float = 0.75) -> list[float]:
    """What each text scores."""
    tokenize = get_tokenizer("default")
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


def main() -> None:
    nodes = read()
    retriever = BM25Retriever(nodes, similarity_top_k=3)
    print(f"{len(nodes)} passages")
    for question in QUESTIONS:
        scores = by_hand(question, [node.text for node in nodes])
        order = sorted(range(len(nodes)), key=lambda place: -scores[place])
        print(question)
        for place, hit in zip(order, retriever.retrieve(question), strict=False):
            title = hit.node.get_content().splitlines()[0]
            print(
                f"  {hit.score:.3f} (by hand {scores[place]:.3f})  {hit.node.metadata['file']}: {title}"
            )
            assert abs(hit.get_score() - scores[place]) < 1e-5


if __name__ == "__main__":
    main()
