import pytest
from llama_index.core.schema import NodeWithScore, TextNode

TEXTS = {
    "cat": "the cat lives in the forest and eats mice",
    "cow": "the cow eats grass",
    "owl": "the owl of the tree eats mice and it lives in the tree of the hill and it eats ant and bee",
    "long": " ".join(["the elk of the river eats leaves and grass"] * 30),
    "ko": "고양이 는 물고기 를 먹는다",
    "bee": "bee",
}
QUERY = "what does the cat eats"


@pytest.fixture
def hits():
    """What a retriever found, the best first."""
    return [
        NodeWithScore(node=TextNode(id_=name, text=text), score=1.0 - place / 10)
        for place, (name, text) in enumerate(TEXTS.items())
    ]


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """Folders of tiny cross-encoders, by kind."""
    pytest.importorskip("sentence_transformers")
    from tests.tiny_models import save_cross_encoder

    made = {}

    def folder(kind="bert", **options):
        key = (kind, *options.items())
        if key not in made:
            made[key] = str(save_cross_encoder(tmp_path_factory.mktemp("model"), kind, **options))
        return made[key]

    return folder


@pytest.fixture
def embedding():
    from tests.cli.tiny import Tiny

    return Tiny()
