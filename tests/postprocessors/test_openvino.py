"""The OpenVINO backend, where the extra is installed; it wants an environment of its own."""

from __future__ import annotations

import pytest

from llamaindex_vecx import CrossEncoderRerank
from tests.postprocessors.conftest import QUERY

pytestmark = pytest.mark.model


def test_openvino_orders_as_torch_does(models, hits, tmp_path):
    pytest.importorskip("optimum.intel", reason="the extra 'openvino' is not installed")
    exact = CrossEncoderRerank(models(), top_n=10, dtype="float32", device="cpu", normalize="none")
    other = CrossEncoderRerank(models(), top_n=10, backend="openvino", normalize="none")
    wanted = exact.postprocess_nodes(hits, query_str=QUERY)
    given = {hit.node_id: hit.score for hit in other.postprocess_nodes(hits, query_str=QUERY)}
    largest = max(abs(hit.score) for hit in wanted)
    for hit in wanted:
        assert given[hit.node_id] == pytest.approx(hit.score, abs=0.1 * largest)
    assert "openvino" in repr(other)
