"""What "one result a document" means: nodes grouped by their document or by any metadata key."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from typing import Any

from llamaindex_vecx.errors import InvalidInputError

__all__ = ["DOCUMENT_KEYS", "check_group_by", "group_of"]

DOCUMENT_KEYS = ("doc_id", "ref_doc_id", "document_id")
"""These reach a node's source document, unless its metadata has the key itself; in filters too."""


def check_group_by(group_by: Any) -> None:
    """Refuse what is no name of a metadata key.

    Raises
    ------
    InvalidInputError
    """
    if not isinstance(group_by, str) or not group_by:
        raise InvalidInputError(
            f"group_by={group_by!r} must be the name of a metadata key, or 'ref_doc_id'"
        )


def group_of(
    group_by: str, metadata: Mapping[str, Any], ref_doc_id: str | None, node_id: str
) -> Hashable:
    """The group that a node belongs to. One without a value stands for itself.

    Returns
    -------
    hashable
        A string, a number or a boolean as it is, so that for ``ref_doc_id`` it is the document's id; a
        list or dict as its JSON; for a node without a value, a pair of which the second is its id.
    """
    value = metadata.get(group_by)
    if value is None and group_by in DOCUMENT_KEYS and group_by not in metadata:
        value = ref_doc_id
    if value is None:
        return (None, node_id)
    if isinstance(value, (str, int, float)):
        return value
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
