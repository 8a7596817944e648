"""What looks like a secret in a text. Rather one word too many is struck out than a key let through."""

from __future__ import annotations

import math
import os
import re
from collections import Counter
from collections.abc import Iterable

__all__ = ["MARK", "SecretFinder", "is_secret_name"]

MARK = "[secret]"
"""What stands where a secret was."""

_NAME = (
    r"(?:pass(?:word|wd|phrase|code)|secret|token(?!s\b|iz)|credential|api[_\-. ]?key|auth[_\-]?key"
    r"|(?:access|account|private|encryption|signing|subscription)[_\-]?key|shared[_\-]?access"
    r"|authorization|비밀번호|암호|(?<![a-z])(?:pwd|pass|cookies?|session[_\-]?id|signature|sig)(?![a-z]))"
)
_SECRET_NAME = re.compile(
    rf"{_NAME}|(?:^|[^a-z])(?:key|dsn|connection[_\-]?string)$", re.IGNORECASE
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_HARMLESS = frozenset(("key", "group_by", "top_k", "metadata_key", "sort_key", "primary_key"))
_COUNTS = re.compile(
    r"(?:max|min|num|n|total|prompt|completion|input|output|chunk)?[_\-]?tokens?(?:[_\-]?(?:count|limit|s))?",
    re.IGNORECASE,
)

_PEM = re.compile(
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----"
    r".*?(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\Z)",
    re.DOTALL,
)
_IN_URL = re.compile(r"(?<=://)(?:[^\s:@/\"'<>]{0,200}:[^\s\"'<>]{1,400}@|[^\s/?#\"'<>@]{1,400}@)")
_HEADER = re.compile(
    r"(?P<head>\b(?:proxy-)?authorization\b[\"']?\s*[:=]\s*[\"']?)"
    r"(?:(?:basic|bearer|digest|token|apikey|negotiate|aws4-hmac-sha256)\s+)?[^\s\"',;]+",
    re.IGNORECASE,
)
_BEARER = re.compile(r"\b(?P<head>bearer\s+)[A-Za-z0-9._~+/=\-]{6,}", re.IGNORECASE)
_BASIC = re.compile(r"\b(?P<head>basic\s+)(?=[A-Za-z0-9+/]*[A-Z0-9+/=])[A-Za-z0-9+/]{8,}={0,2}")
_ASSIGNED = re.compile(
    rf"(?P<head>{_NAME}[A-Za-z0-9_\-]{{0,20}}[\"']?\s{{0,5}}(?::=|=>|[:=])\s{{0,5}})"
    r"(?:\"(?:[^\"\\]|\\.)*\"?|'(?:[^'\\]|\\.)*'?"
    r"|[^;\"'\n]{1,200}?(?=;\s{0,3}[\w ]{1,40}=)"  # in a connection string a value may hold spaces
    r"|[^\s,;&\"'{}\[\]()<>]+)",
    re.IGNORECASE,
)
_SPOKEN = re.compile(
    rf"(?P<head>{_NAME}\s{{1,5}}(?:is|was)\s{{1,5}})[\"'`]?[^\s\"'`]+[\"'`]?", re.IGNORECASE
)
_KNOWN = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"(?:sk|pk|rk|ak)[-_](?:[A-Za-z0-9_\-]{16,})"
    r"|(?:ghp|gho|ghu|ghs|ghr|glpat|github_pat|hf|npm|pcsk|gsk|xai|pplx|nvapi|dop_v1|r8|tgp_v1|lsv2|ls_"
    r"|wandb_v1|co|shpat|shpss|pat|figd|ya29|dckr_pat|sbp|whsec|fw|jina)[-_.][A-Za-z0-9_\-.]{12,}"
    r"|xox[abeprs]-[A-Za-z0-9\-]{8,}|xapp-[A-Za-z0-9\-]{8,}"
    r"|(?:AKIA|ASIA|AROA|AIDA|ANPA)[A-Z0-9]{12,}"
    r"|AIza[A-Za-z0-9_\-]{20,}"
    r"|SG\.[A-Za-z0-9_\-]{10,}\.[A-Za-z0-9_\-]{10,}"
    r"|eyJ[A-Za-z0-9_\-]{5,4000}\.[A-Za-z0-9_\-]{5,4000}(?:\.[A-Za-z0-9_\-]*)?"
    r"|pypi-[A-Za-z0-9_\-]{16,}|AGE-SECRET-KEY-[A-Z0-9]+"
    r")"
)
_HEX_KEY = re.compile(r"(?<![0-9A-Za-z])(?:[0-9a-f]{40}|[0-9A-F]{40})(?![0-9A-Za-z])")
_RANDOM = re.compile(r"(?<![A-Za-z0-9+/=_\-])[A-Za-z0-9+/_\-]{32,}={0,2}")
_BITS = 4.2
"""Of entropy a character, from which on a long word of mixed letters and digits can't be language."""

_SHORTEST = 6
"""Of a known secret: shorter ones stand in ordinary words."""


def is_secret_name(name: str) -> bool:
    """Whether a value of this name is a secret, whatever it looks like.

    >>> is_secret_name("openaiApiKey"), is_secret_name("PGPASSWORD"), is_secret_name("max_tokens")
    (True, True, False)
    """
    plain = _CAMEL.sub("_", name)
    if plain.lower() in _HARMLESS or _COUNTS.fullmatch(plain):
        return False
    return bool(_SECRET_NAME.search(plain))


class SecretFinder:
    """Strikes out what looks like a secret.

    Private keys; user and password in URLs and connection strings; ``Authorization`` headers, bearer tokens;
    whatever is assigned to a name such as ``password`` or ``api_key``; keys in the form of the well-known
    services; words of 40 hex digits; long words of high entropy; the values of environment variables whose
    name is a secret's.

    Parameters
    ----------
    secrets : iterable of str
        Further values that are to go, whatever they look like.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = {value for value in secrets if value}
        for name, value in os.environ.items():
            if is_secret_name(name) and len(value) >= _SHORTEST and not value.isdigit():
                known.add(value)
        ordered = sorted(known, key=len, reverse=True)
        self._values = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def strike(self, text: str) -> str:
        """``text`` with :data:`MARK` in the place of every secret."""
        if self._values is not None:
            text = self._values.sub(MARK, text)
        if len(text) < _SHORTEST:
            return text
        if "-----BEGIN" in text:
            text = _PEM.sub(MARK, text)
        if "://" in text and "@" in text:
            text = _IN_URL.sub(f"{MARK}@", text)
        if "=" in text or ":" in text:
            text = _HEADER.sub(rf"\g<head>{MARK}", text)
            text = _ASSIGNED.sub(rf"\g<head>{MARK}", text)
        if " is " in text or " was " in text:
            text = _SPOKEN.sub(rf"\g<head>{MARK}", text)
        text = _BEARER.sub(rf"\g<head>{MARK}", text)
        text = _BASIC.sub(rf"\g<head>{MARK}", text)
        text = _KNOWN.sub(MARK, text)
        text = _HEX_KEY.sub(MARK, text)
        return _RANDOM.sub(lambda found: MARK if _is_random(found[0]) else found[0], text)


def _is_random(word: str) -> bool:
    kinds = (str.islower, str.isupper, str.isdigit)
    if word.count("/") > 2 or not all(any(map(kind, word)) for kind in kinds):  # a path has many
        return False
    size = len(word)
    bits = -sum(n / size * math.log2(n / size) for n in Counter(word).values())
    return bits >= _BITS
