"""Text to runs: words of letters and digits, with Korean, Chinese and Japanese apart from the rest."""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise

__all__ = ["bigrams", "is_cjk", "normalize", "split_runs"]

# Hangul jamo and syllables, kana, ideographs with their iteration marks and extensions. Bigrams run
# across kana and ideographs, since Japanese inflects one with the other.
_CJK = (
    "\u1100-\u11ff\ua960-\ua97f\uac00-\ud7ff"
    "\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff"
    "\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U0001aff0-\U0001b16f\U00020000-\U000323af"
)


def _marks() -> str:
    """Vowel signs and accents, which Python's ``\\w`` leaves out though words of India need them."""
    blocks = (range(0x0300, 0x2000), range(0xA600, 0xAC00))
    return "".join(
        chr(point)
        for block in blocks
        for point in block
        if unicodedata.category(chr(point)).startswith("M")
    )


# Contractions and the possessive stay on their word, for the stop words and the stemmer; any other
# apostrophe parts words, as in French.
_ENDING = r"(?:'(?:s|t|d|m|re|ve|ll)(?![^\W_]))?"
_ASCII = re.compile(rf"[a-z0-9]+{_ENDING}")
_ANY = re.compile(rf"[{_CJK}]+|[^\W_{_CJK}]+(?:[{_marks()}]+[^\W_{_CJK}]*)*{_ENDING}")


def normalize(text: str) -> str:
    """Compatibility forms composed (NFKC) and case folded, a curled apostrophe straight."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKC", text).casefold().replace("\u2019", "'")


def split_runs(text: str) -> list[str]:
    """Runs of CJK characters, and runs of other letters and digits, of normalised text.

    Emoji, punctuation and symbols part runs and are dropped.

    >>> split_runs("gpt모델은 don't")
    ['gpt', '모델은', "don't"]
    """
    if text.isascii():
        return _ASCII.findall(text)
    return _ANY.findall(text)


_is_cjk = re.compile(f"[{_CJK}]").match


def is_cjk(run: str) -> bool:
    """Whether a run of :func:`split_runs` is Korean, Chinese or Japanese."""
    return _is_cjk(run) is not None


def bigrams(run: str) -> tuple[str, ...]:
    """Pairs of neighbouring characters; a single character stays itself."""
    if len(run) == 1:
        return (run,)
    return tuple(map("".join, pairwise(run)))
