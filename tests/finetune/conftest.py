import itertools

import pytest

from llamaindex_vecx.finetune import TrainingData

ANIMALS = ["cat", "dog", "cow", "hen", "fox", "owl", "bee", "ant"]
PLACES = ["river", "forest", "field", "farm", "hill", "tree"]
FOODS = ["grass", "seeds", "mice", "honey", "leaves", "fish", "fruit"]


@pytest.fixture(scope="session")
def animals():
    """Forty-eight questions, each answered by a passage of its own."""
    queries, corpus, qrels = {}, {}, {}
    for number, (animal, place) in enumerate(itertools.product(ANIMALS, PLACES)):
        corpus[f"d{number}"] = f"the {animal} lives in the {place} and eats {FOODS[number % 7]}"
        queries[f"q{number}"] = f"what does the {animal} of the {place}"
        qrels[f"q{number}"] = {f"d{number}": 1.0}
    return TrainingData(queries, corpus, qrels)
