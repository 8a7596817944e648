"""Hooks of schemathesis, which runs in an environment of its own.

How ``x-ndjson`` is written; half of the bodies fitted to the indexes that the run makes, since what a schema
generates has hardly ever their dimension and would only meet refusals; and a count of what came back.
"""

import atexit
import hashlib
import json
import math
from collections import Counter

import schemathesis

_statuses = Counter()
_CHOICES = {
    "metric": ("cosine", "euclidean", "dotproduct"),
    "deletion_protection": ("disabled", "enabled"),
    "vector_type": ("dense",),
    "cloud": ("aws", "gcp", "azure"),
    "mode": ("OnDemand",),
}
_VECTORS = {"values": 2, "vector": 2, "query_vector": 2}


@schemathesis.serializer("application/x-ndjson")
def write_lines(context, value):
    """A list becomes one JSON document a line."""
    items = value if isinstance(value, list) else [value]
    return "\n".join(json.dumps(item) for item in items).encode()


@schemathesis.hook
def map_body(context, body):
    """Half of the bodies as an index of two dimensions takes them, chosen by their content."""
    try:
        written = json.dumps(body, sort_keys=True)
    except (TypeError, ValueError):
        return body
    if hashlib.md5(written.encode()).digest()[0] % 2:
        return body
    return _fitted(body)


@schemathesis.hook
def after_call(context, case, response):
    """Count the statuses."""
    _statuses[response.status_code] += 1


@atexit.register
def _report():
    shown = ", ".join(f"{status}: {times}" for status, times in sorted(_statuses.items()))
    print(f"responses by status: {shown}", flush=True)


def _fitted(value, key=None):
    if isinstance(value, dict):
        if key in ("sparseValues", "sparseVector"):
            return {"indices": [1, 2], "values": [0.5, 1.0]}
        if key in ("filter", "setMetadata", "metadata"):
            return {"genre": "drama"}
        if key == "tags":
            return {str(name)[:8] or "t": str(held)[:8] for name, held in list(value.items())[:3]}
        if "spec" in value and "name" in value and "dimension" not in value:
            value = {**value, "dimension": 2}  # the file says that it may be missing
        return {name: _fitted(item, name) for name, item in value.items()}
    if isinstance(value, list):
        if key in _VECTORS and all(isinstance(item, (int, float)) for item in value):
            numbers = [item for item in value if math.isfinite(item) and abs(item) < 1e30]
            return [*numbers, 0.5, 1.0][:2]
        return [_fitted(item, key) for item in value]
    if isinstance(value, str) and key in _CHOICES:
        return _CHOICES[key][len(value) % len(_CHOICES[key])]
    if isinstance(value, str) and key in ("id", "_id", "ids", "namespace", "name"):
        digest = hashlib.md5(value.encode("utf-8", "replace")).hexdigest()
        return ("example-vector-1", "id-1", digest[:8])[len(value) % 3]
    return value
