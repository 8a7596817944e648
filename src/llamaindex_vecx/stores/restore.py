"""Text nodes as they were, without a validation pass each.

What a store reads back was validated when the node was made, and validating it again costs a query with ten
nodes more than the search that found them. So the fields are checked for their plain types and set; whatever
is not exactly as LlamaIndex writes it is left to LlamaIndex.
"""

from __future__ import annotations

from typing import Any, TypeVar

from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from pydantic import BaseModel

__all__ = ["restore_text_node"]

Made = TypeVar("Made", TextNode, RelatedNodeInfo)

_STRINGS = frozenset(("metadata_template", "metadata_separator", "mimetype", "text_template"))
_LISTS = frozenset(("excluded_embed_metadata_keys", "excluded_llm_metadata_keys"))
_NUMBERS = frozenset(("start_char_idx", "end_char_idx"))
_GIVEN = frozenset(("id_", "text", "metadata", "embedding"))
_FIELDS = _STRINGS | _LISTS | _NUMBERS | _GIVEN | {"relationships"}
_RELATED_FIELDS = frozenset(("node_id", "node_type", "metadata", "hash"))
_ONLY_ID = {"node_id", "class_name"}
_OPTIONAL_STRING = (str, type(None))
_RELATIONSHIPS = {relationship.value: relationship for relationship in NodeRelationship}

_new = object.__new__
# Of the slots that every model has: a quarter faster than object.__setattr__, which looks for them.
_set_dict = BaseModel.__dict__["__dict__"].__set__
_set_names = BaseModel.__dict__["__pydantic_fields_set__"].__set__
_set_extra = BaseModel.__dict__["__pydantic_extra__"].__set__
_set_private = BaseModel.__dict__["__pydantic_private__"].__set__


def _plain(cls: type[TextNode] | type[RelatedNodeInfo], fields: frozenset[str]) -> bool:
    """Whether this release of LlamaIndex has the class that this module knows, and nothing more."""
    decorators = cls.__pydantic_decorators__
    return (
        frozenset(cls.model_fields) == fields
        and not cls.__private_attributes__
        and not (decorators.validators or decorators.field_validators or decorators.root_validators)
        and not decorators.model_validators
        and cls.__pydantic_post_init__ is None
        and cls.model_config.get("extra") in (None, "ignore")
    )


_KNOWN = _plain(TextNode, _FIELDS) and _plain(RelatedNodeInfo, _RELATED_FIELDS)
_DEFAULTS = dict(TextNode().__dict__)  # in the order of the fields, which is that of model_dump


class _UnexpectedError(Exception):
    """Not as LlamaIndex writes it."""


def restore_text_node(
    id_: str,
    text: str,
    metadata: dict[str, Any],
    embedding: list[float] | None,
    rest: dict[str, Any],
) -> TextNode | None:
    """What ``TextNode.from_dict`` returns for all this, or None where only that can tell.

    Parameters
    ----------
    id_, text, metadata, embedding
        Of the types that they say. No embedding: the field counts as not set.
    rest : dict
        The other fields that aren't as by default, read from JSON. Like ``metadata`` it belongs to the
        node afterwards.

    Returns
    -------
    TextNode or None
        Equal to the validated node in every field, in their order, and in ``model_fields_set``.
    """
    if not _KNOWN:
        return None
    values = _DEFAULTS.copy()
    values["id_"] = id_
    values["embedding"] = embedding
    values["metadata"] = metadata
    values["excluded_embed_metadata_keys"] = []
    values["excluded_llm_metadata_keys"] = []
    values["relationships"] = {}
    values["text"] = text
    names = {"id_", "metadata", "text"}
    if embedding is not None:
        names.add("embedding")
    try:
        for name, value in rest.items():
            if name == "relationships":
                value = {
                    _RELATIONSHIPS[key]: [_info(one) for one in to]
                    if type(to) is list
                    else _info(to)
                    for key, to in value.items()
                }
            elif not _as_written(name, value):
                return None
            values[name] = value
            names.add(name)
    except (_UnexpectedError, LookupError, AttributeError, TypeError):
        return None
    return _made(TextNode, values, names)


def _made(cls: type[Made], values: dict[str, Any], names: set[str]) -> Made:
    # What model_construct does at its end; the rest of it costs a hundred times as much.
    made = _new(cls)
    _set_dict(made, values)
    _set_names(made, names)
    _set_extra(made, None)
    _set_private(made, None)
    return made


def _as_written(name: str, value: Any) -> bool:
    """Whether a validation would leave this value alone."""
    if name in _LISTS:
        return type(value) is list and all(type(one) is str for one in value)
    if name in _NUMBERS:
        return value is None or type(value) is int
    return name in _STRINGS and type(value) is str


def _info(written: dict[str, Any]) -> RelatedNodeInfo:
    if written.keys() == _ONLY_ID and type(written["node_id"]) is str:
        node_id: dict[str, Any] = {
            "node_id": written["node_id"],
            "node_type": None,
            "metadata": {},
            "hash": None,
        }
        return _made(RelatedNodeInfo, node_id, {"node_id"})
    names = set(written)
    names.discard("class_name")  # LlamaIndex writes it and does not read it
    values = {
        "node_id": written["node_id"],
        "node_type": written.get("node_type"),
        "metadata": written["metadata"] if "metadata" in names else {},
        "hash": written.get("hash"),
    }
    if not (
        type(values["node_id"]) is str
        and type(values["node_type"]) in _OPTIONAL_STRING
        and type(values["metadata"]) is dict
        and type(values["hash"]) in _OPTIONAL_STRING
        and names <= _RELATED_FIELDS
    ):
        raise _UnexpectedError
    return _made(RelatedNodeInfo, values, names)
