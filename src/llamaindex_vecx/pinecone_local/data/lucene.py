"""Query strings in Lucene's syntax: ``title:(cats OR "big dogs"^2) AND NOT draft``.

Words, phrases, ``AND``, ``OR``, ``NOT``, ``+``, ``-``, groups, field qualifiers and boosts; wildcards,
ranges and fuzziness are refused.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import NamedTuple

from llamaindex_vecx.pinecone_local.data.textquery import Clauses, Node, Words, any_of
from llamaindex_vecx.pinecone_local.errors import ApiError, invalid

__all__ = ["parse_query"]

_TOKEN = re.compile(
    r'\s*(?:(?P<phrase>"(?:[^"\\]|\\.)*")|(?P<mark>[()+:^-]|&&|\|\||!)|(?P<word>(?:\\.|[^\s()":^\\])+))'
)
_OPERATORS = {
    "AND": "AND",
    "&&": "AND",
    "OR": "OR",
    "||": "OR",
    "NOT": "NOT",
    "!": "NOT",
    "-": "NOT",
}
_MAX_DEPTH = 30


class _Token(NamedTuple):
    kind: str
    text: str


def parse_query(text: str, fields: Collection[str]) -> Node:
    """The tree of a query string.

    Parameters
    ----------
    text : str
    fields : collection of str
        Those with full-text search; a clause without a qualifier is for all of them.

    Raises
    ------
    ApiError
        400: the string can't be read, or a field is none of these.
    """
    parser = _Parser(_tokens(text), fields)
    node = parser.clauses(tuple(fields), 0)
    if parser.peek() is not None:
        raise _unreadable(text)
    return node


def _tokens(text: str) -> list[_Token]:
    tokens = []
    at = 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None or match.end() == at:
            raise _unreadable(text)
        kind = match.lastgroup or ""
        value = match[kind]
        if kind == "word" and value in _OPERATORS:
            kind = "mark"
        if kind == "word" and re.search(r"(?<!\\)[*?~\[\]{}]", value):
            raise invalid(
                f"query_string: wildcards, ranges and fuzziness are not supported: '{value:.60}'"
            )
        tokens.append(_Token(kind, value))
        at = match.end()
    return tokens


class _Parser:
    def __init__(self, tokens: Sequence[_Token], fields: Collection[str]) -> None:
        self._tokens = tokens
        self._known = fields
        self._at = 0

    def peek(self) -> _Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def clauses(self, fields: tuple[str, ...], depth: int) -> Clauses:
        if depth > _MAX_DEPTH:
            raise invalid(f"query_string is nested more than {_MAX_DEPTH} deep")
        must: list[Node] = []
        should: list[Node] = []
        must_not: list[Node] = []
        joined = False
        while (token := self.peek()) is not None and token != _Token("mark", ")"):
            occur = ""
            while (token := self.peek()) is not None and token.kind == "mark":
                name = _OPERATORS.get(token.text, token.text)
                if name not in ("AND", "OR", "NOT", "+"):
                    break
                self._at += 1
                if name == "AND":
                    joined = True
                    if should:
                        must.append(should.pop())
                elif name in ("NOT", "+"):
                    occur = name
            node = self._clause(fields, depth)
            if occur == "NOT":
                must_not.append(node)
            elif occur == "+" or joined:
                must.append(node)
            else:
                should.append(node)
            joined = False
        if not must and not should:
            raise invalid("query_string needs a clause that matches something")
        if not must and not must_not:
            return any_of(should)
        return Clauses(tuple(must), tuple(should), tuple(must_not))

    def _clause(self, fields: tuple[str, ...], depth: int) -> Node:
        token = self._next()
        if token.kind == "word" and self.peek() == _Token("mark", ":"):
            self._at += 1
            name = _unescaped(token.text)
            if name not in self._known:
                raise invalid(
                    f"query_string: field '{name:.60}' is not declared with full_text_search"
                )
            fields, token = (name,), self._next()
        if token == _Token("mark", "("):
            node: Node = self.clauses(fields, depth + 1)
            if self._next() != _Token("mark", ")"):
                raise invalid("query_string: a parenthesis is not closed")
            boost = self._boost()
            return node if boost == 1.0 else _boosted(node, boost)
        if token.kind == "mark":
            raise invalid(f"query_string: '{token.text}' is out of place")
        phrase = token.kind == "phrase"
        text = _unescaped(token.text[1:-1] if phrase else token.text)
        boost = self._boost()
        words = [Words(field, text, phrase, boost) for field in fields]
        return words[0] if len(words) == 1 else any_of(words)

    def _next(self) -> _Token:
        token = self.peek()
        if token is None:
            raise invalid("query_string ends where a clause is expected")
        self._at += 1
        return token

    def _boost(self) -> float:
        if self.peek() != _Token("mark", "^"):
            return 1.0
        self._at += 1
        try:
            boost = float(self._next().text)
        except ValueError:
            raise invalid("query_string: ^ must be followed by a number") from None
        if not 0 <= boost < 1e6:
            raise invalid("query_string: a boost must be from 0 to a million")
        return boost


def _boosted(node: Node, boost: float) -> Node:
    if isinstance(node, Words):
        return Words(node.field, node.text, node.phrase, node.boost * boost)
    return Clauses(
        tuple(_boosted(part, boost) for part in node.must),
        tuple(_boosted(part, boost) for part in node.should),
        node.must_not,
    )


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def _unreadable(text: str) -> ApiError:
    return invalid(f"query_string can't be read: '{text:.120}'")
