"""Tokens of a full-text field, by the ``full_text_search`` configuration in an index's schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import Stemmer

from llamaindex_vecx.pinecone_local.errors import invalid
from llamaindex_vecx.text.analyzers import RunTokenizer
from llamaindex_vecx.text.scripts import bigrams, is_cjk
from llamaindex_vecx.text.stopwords import ENGLISH

__all__ = ["make_tokenizer", "resolve"]

Tokenize = Callable[[str], list[str]]
_STEMMERS = {
    "ar": "arabic",
    "da": "danish",
    "de": "german",
    "el": "greek",
    "en": "english",
    "es": "spanish",
    "fi": "finnish",
    "fr": "french",
    "hu": "hungarian",
    "it": "italian",
    "nl": "dutch",
    "no": "norwegian",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
    "sv": "swedish",
    "ta": "tamil",
    "tr": "turkish",
}
_SHORT = {name: code for code, name in _STEMMERS.items()}


def resolve(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration with its defaults, as a describe reports it.

    Raises
    ------
    ApiError
    """
    language = str(config.get("language") or "en").lower()
    language = _SHORT.get(language, language)
    stemming, stop_words = bool(config.get("stemming")), bool(config.get("stop_words"))
    ngram = config.get("ngram")
    if stemming and language not in _STEMMERS:
        raise invalid(f"stemming is not supported for language '{language}'")
    if stop_words and not stemming:
        raise invalid("stop_words requires stemming")
    if stop_words and language != "en":
        raise invalid("this local server knows stop words of English only")
    resolved: dict[str, Any] = {
        "language": language,
        "stemming": stemming,
        "stop_words": stop_words,
    }
    if ngram is not None:
        if stemming or stop_words:
            raise invalid("ngram can't be combined with stemming or stop_words")
        resolved["ngram"] = _check_ngram(ngram)
    return resolved


def _check_ngram(ngram: Any) -> dict[str, Any]:
    low, high = (
        ngram.get(key) if isinstance(ngram, dict) else None for key in ("min_gram", "max_gram")
    )
    if not (isinstance(low, int) and isinstance(high, int) and 1 <= low <= high <= 64):
        raise invalid("ngram needs min_gram and max_gram, from 1 to 64 and in this order")
    return {"min_gram": low, "max_gram": high, "prefix_only": bool(ngram.get("prefix_only"))}


def make_tokenizer(config: Mapping[str, Any]) -> Tokenize:
    """The tokenizer of a resolved configuration."""
    if "ngram" in config:
        return RunTokenizer("ngram", "1", _ngrams(**config["ngram"]))
    if not config["stemming"]:
        return RunTokenizer("words", "1", lambda run: bigrams(run) if is_cjk(run[0]) else (run,))
    stem = Stemmer.Stemmer(_STEMMERS[config["language"]]).stemWord
    dropped = ENGLISH if config["stop_words"] else frozenset()

    def analyze(run: str) -> tuple[str, ...]:
        if is_cjk(run[0]):
            return bigrams(run)
        return () if run in dropped else (stem(run),)

    return RunTokenizer("stemmed", "1", analyze)


def _ngrams(min_gram: int, max_gram: int, prefix_only: bool) -> Callable[[str], tuple[str, ...]]:
    def analyze(run: str) -> tuple[str, ...]:
        starts = range(1 if prefix_only else len(run))
        return tuple(
            run[start : start + size]
            for start in starts
            for size in range(min_gram, max_gram + 1)
            if start + size <= len(run)
        )

    return analyze
