"""The tokenizers that come with the package, each split into runs, then each run into tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from itertools import chain
from typing import Any

import Stemmer

from llamaindex_vecx.errors import MissingExtraError
from llamaindex_vecx.text.scripts import bigrams, is_cjk, normalize, split_runs
from llamaindex_vecx.text.stopwords import ENGLISH

__all__ = ["KiwiTokenizer", "RunTokenizer", "bigram", "default", "english"]

_MOST_CACHED = 1 << 16
_LONGEST_CACHED = 32


class _Analyzed(dict[str, tuple[str, ...]]):
    """Tokens by run, made once; emptied when full, so that a stream of rare words can't fill memory."""

    def __init__(self, analyze: Callable[[str], tuple[str, ...]]) -> None:
        super().__init__()
        self._analyze = analyze

    def __missing__(self, run: str) -> tuple[str, ...]:
        tokens = self._analyze(run)
        if len(run) <= _LONGEST_CACHED:
            if len(self) >= _MOST_CACHED:
                self.clear()
            self[run] = tokens
        return tokens


class RunTokenizer:
    """Normalises, splits by script and analyses each run.

    Parameters
    ----------
    name, version : str
    analyze : (run) -> tuple of tokens
        Must depend on the run alone: its answers are cached.
    """

    def __init__(self, name: str, version: str, analyze: Callable[[str], tuple[str, ...]]) -> None:
        self.name = name
        self.version = version
        self._tokens_of = _Analyzed(analyze)

    def __call__(self, text: str) -> list[str]:
        """Tokens of a text, in order, with repeats."""
        runs = split_runs(normalize(text))
        return list(chain.from_iterable(map(self._tokens_of.__getitem__, runs)))

    def __repr__(self) -> str:
        return f"<tokenizer {self.name!r}, version {self.version}>"


def _english_word() -> Callable[[str], tuple[str, ...]]:
    # The stemmer's own cache only costs where each word comes once.
    stem = Stemmer.Stemmer("english", 0).stemWord

    def analyze(run: str) -> tuple[str, ...]:
        return () if run in ENGLISH else (stem(run),)

    return analyze


def _by_script(word: Callable[[str], tuple[str, ...]]) -> Callable[[str], tuple[str, ...]]:
    return lambda run: bigrams(run) if is_cjk(run) else word(run)


def _snowball(rules: int) -> str:
    """Stems change with the stemmer, so its version is part of ours."""
    return f"{rules}+snowball{Stemmer.version()}"


def default() -> RunTokenizer:
    """Words without English stop words, stemmed; bigrams of Korean, Chinese and Japanese."""
    return RunTokenizer("default", _snowball(1), _by_script(_english_word()))


def english() -> RunTokenizer:
    """As ``default``, with whole words in every script."""
    return RunTokenizer("english", _snowball(1), _english_word())


def bigram() -> RunTokenizer:
    """Bigrams of Korean, Chinese and Japanese; all other words as they are."""
    return RunTokenizer("bigram", "1", _by_script(lambda run: (run,)))


class KiwiTokenizer:
    """Korean morphemes that carry meaning, by kiwipiepy; foreign words as ``english`` has them.

    The model (a second, 100 MB) is loaded at the first call.

    Raises
    ------
    MissingExtraError
        kiwipiepy is not installed.
    """

    name = "kiwi"

    # Nouns, numerals, verbs, adjectives, adverbs, roots, and the foreign, Chinese and numeric runs.
    _CONTENT = frozenset(
        (
            *("NNG", "NNP", "NNB", "NR", "NP", "VV", "VA", "VV-R", "VV-I", "VA-R", "VA-I"),
            *("MAG", "XR", "SL", "SH", "SN", "W_SERIAL"),
        )
    )

    def __init__(self) -> None:
        if find_spec("kiwipiepy") is None:
            raise MissingExtraError("kiwipiepy", "korean")
        self.version: str = f"1+kiwipiepy{version('kiwipiepy')}"
        self._foreign = english()

    def __call__(self, text: str) -> list[str]:
        """Tokens of a text, in order, with repeats."""
        tokens: list[str] = []
        for form, tag in self._morphemes(normalize(text)):
            if tag == "SL":
                tokens.extend(self._foreign(form))
            elif tag in self._CONTENT:
                tokens.append(form)
        return tokens

    @staticmethod
    def _morphemes(text: str) -> Iterable[tuple[str, str]]:
        return ((token.form, token.tag) for token in _kiwi().tokenize(text))

    def __repr__(self) -> str:
        return f"<tokenizer 'kiwi', version {self.version}>"


@cache
def _kiwi() -> Any:
    from kiwipiepy import Kiwi

    return Kiwi()
