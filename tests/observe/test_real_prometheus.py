"""The dashboard's questions, put to a real Prometheus that scrapes real traffic. Slow; needs the program.

apt-get download prometheus && dpkg -x prometheus_*.deb folder
VECX_PROMETHEUS=folder/usr/bin/prometheus pytest -m slow tests/observe/test_real_prometheus.py
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from llamaindex_vecx import FlatVectorStore, PrometheusHandler
from llamaindex_vecx.errors import DimensionError, EmptyQueryError
from llamaindex_vecx.observe import grafana_dashboard

from ..conformance.library import library, near
from .pipeline import QUESTION, engine

pytest.importorskip("prometheus_client", reason="needs the extra prometheus")
PROGRAM = shutil.which(os.environ.get("VECX_PROMETHEUS", "prometheus"))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(PROGRAM is None, reason="no prometheus: apt-get download prometheus"),
]
CONFIG = """
global: {scrape_interval: 1s}
scrape_configs:
- job_name: vecx
  static_configs: [{targets: ["127.0.0.1:%d"]}]
"""


def traffic(stop: threading.Event) -> None:
    asked, store = engine(), FlatVectorStore()
    while not stop.is_set():
        asked.query(QUESTION)
        store.query(near(1))
        with suppress(EmptyQueryError):
            asked.retriever.retrieve("")
        store.add(library())
        with suppress(DimensionError):
            store.query(near(1).__class__(query_embedding=[1.0], similarity_top_k=1))
        store.clear()
        time.sleep(0.05)


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"127.0.0.1:{free.getsockname()[1]}"
    stop = threading.Event()
    with PrometheusHandler(port=0) as handler:
        (tmp_path / "prometheus.yml").write_text(CONFIG % handler.port)
        busy = threading.Thread(target=traffic, args=[stop])
        busy.start()
        process = subprocess.Popen(
            [
                str(PROGRAM),
                f"--config.file={tmp_path / 'prometheus.yml'}",
                f"--storage.tsdb.path={tmp_path / 'data'}",
                f"--web.listen-address={url}",
            ],
            stderr=subprocess.DEVNULL,
        )
        try:
            yield f"http://{url}"
        finally:
            process.terminate()
            process.wait()
            stop.set()
            busy.join()


def ask(url: str, expression: str) -> list[Any]:
    query = urllib.parse.urlencode({"query": expression})
    with urllib.request.urlopen(f"{url}/api/v1/query?{query}", timeout=5) as response:
        body = json.load(response)
    assert body["status"] == "success"
    return list(body["data"]["result"])


def test_every_panel_gets_an_answer(prometheus):
    targets = [
        (panel["title"], target["expr"])
        for panel in json.loads(grafana_dashboard())["panels"]
        for target in panel["targets"]
    ]
    unanswered = dict(targets)
    until = time.monotonic() + 60
    while unanswered and time.monotonic() < until:
        time.sleep(2)
        for title, expression in list(unanswered.items()):
            filled = expression.replace("$__rate_interval", "10s").replace("$component", ".*")
            with suppress(urllib.error.URLError):
                result = ask(prometheus, filled)
                if result and all(float(one["value"][1]) >= 0 for one in result):
                    del unanswered[title]
    assert len(targets) > 10
    assert not unanswered
