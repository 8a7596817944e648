import subprocess
import sys
import unicodedata

import pytest

from llamaindex_vecx.errors import InvalidInputError, MissingExtraError
from llamaindex_vecx.text import Tokenizer, analyzers, get_tokenizer, register_tokenizer


def shout(text):
    return tuple(text.upper().split())


class Own:
    name, version = "own", "3"

    def __call__(self, text):
        return text.split("-")


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("The cells were running over MICE", ["cell", "run", "mice"]),
        ("don't it's the cell's O’Brien’s", ["cell", "o", "brien"]),
        ("l'homme", ["l", "homm"]),
        ("snake_case 3.14 covid19 IL-6", ["snake", "case", "3", "14", "covid19", "il", "6"]),
        ("to be or not to be", []),
        ("한국어", ["한국", "국어"]),
        ("집 밖", ["집", "밖"]),
        (unicodedata.normalize("NFD", "한국"), ["한국"]),
        ("1989년 서울", ["1989", "년", "서울"]),
        ("GPT모델은 빠르다", ["gpt", "모델", "델은", "빠르", "르다"]),
        ("the한국the", ["한국"]),
        ("机器学习", ["机器", "器学", "学习"]),
        ("我", ["我"]),
        ("食べる", ["食べ", "べる"]),
        ("ﾗｰﾒﾝ", ["ラー", "ーメ", "メン"]),
        ("人々 〇", ["人々", "〇"]),
        ("ＡＢＣ １２", ["abc", "12"]),
        ("Straße", ["strass"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("Привет, мир", ["привет", "мир"]),
        ("😀🎉👩‍🔬", []),
        ("코딩😀재미", ["코딩", "재미"]),
        ("", []),
        (" \n\t…", []),
        ("\udc80 ok", ["ok"]),
    ],
)
def test_default(text, tokens):
    assert get_tokenizer("default")(text) == tokens


@pytest.mark.parametrize(
    ("name", "tokens"),
    [
        ("english", ["gpt", "모델은", "run"]),
        ("bigram", ["gpt", "모델", "델은", "was", "running"]),
        ("kiwi", ["gpt", "모델", "run"]),
    ],
)
def test_the_others(name, tokens):
    if name == "kiwi":
        pytest.importorskip("kiwipiepy")
    assert get_tokenizer(name)("GPT모델은 was running") == tokens


def test_kiwi_drops_particles_and_endings():
    pytest.importorskip("kiwipiepy")
    assert get_tokenizer("kiwi")("나는 학교에서 친구를 만났다") == ["나", "학교", "친구", "만나"]


def test_very_long_texts():
    tokenizer = get_tokenizer("default")
    assert len(tokenizer("가" * 100_000)) == 99_999
    assert tokenizer("x" * 100_000) == ["x" * 100_000]
    assert len(tokenizer("a\u0301" * 50_000)) == 1


def test_a_tokenizer_caches_only_so_much(monkeypatch):
    monkeypatch.setattr(analyzers, "_MOST_CACHED", 10)
    tokenizer = analyzers.default()
    words = [f"word{i}" for i in range(35)]
    assert tokenizer(" ".join(words)) == words
    assert tokenizer("z" * 50) == ["z" * 50]
    assert len(tokenizer._tokens_of) <= 10
    assert "z" * 50 not in tokenizer._tokens_of


@pytest.mark.parametrize("name", ["default", "english", "bigram"])
def test_by_name(name):
    tokenizer = get_tokenizer(name)
    assert isinstance(tokenizer, Tokenizer)
    assert tokenizer.name == name
    assert tokenizer.version
    assert get_tokenizer(name) is tokenizer
    assert get_tokenizer(tokenizer) is tokenizer
    assert name in repr(tokenizer)


def test_a_registered_function():
    register_tokenizer("shouting", shout, version="2")
    tokenizer = get_tokenizer("shouting")
    assert (tokenizer.name, tokenizer.version) == ("shouting", "2")
    assert tokenizer("a b") == ["A", "B"]
    register_tokenizer("shouting", str.split)
    assert get_tokenizer("shouting")("a b") == ["a", "b"]


def test_a_function_of_a_module_has_its_qualified_name():
    tokenizer = get_tokenizer(shout)
    assert tokenizer.name == f"{__name__}.shout"
    assert get_tokenizer(shout) is tokenizer
    assert get_tokenizer(tokenizer.name) is tokenizer


def test_an_object_with_a_name_is_found_again():
    own = Own()
    assert get_tokenizer(own) is own
    assert get_tokenizer("own")("a-b") == ["a", "b"]


def test_what_has_no_name_is_refused():
    def local(text):
        return text.split()

    for function in (lambda text: text.split(), local, Own().__call__):
        with pytest.raises(InvalidInputError, match="register_tokenizer"):
            get_tokenizer(function)
    with pytest.raises(InvalidInputError, match="neither a name nor a function"):
        get_tokenizer(7)


def test_bad_names():
    with pytest.raises(InvalidInputError, match=r"'os\.system' is unknown; known are .*default"):
        get_tokenizer("os.system")
    with pytest.raises(InvalidInputError, match="of this package"):
        register_tokenizer("default", shout)
    with pytest.raises(InvalidInputError, match="a name and a function"):
        register_tokenizer("", shout)
    with pytest.raises(InvalidInputError, match="a name and a function"):
        register_tokenizer("nothing", None)


def test_kiwi_without_its_extra(monkeypatch):
    monkeypatch.setattr(analyzers, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'llamaindex-vecx\[korean\]'"):
        analyzers.KiwiTokenizer()


def test_text_and_fusion_import_no_llamaindex():
    code = (
        "import sys, llamaindex_vecx.text, llamaindex_vecx.fusion;"
        "print([m for m in sys.modules if m.startswith(('llama_index', 'kiwipiepy'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
