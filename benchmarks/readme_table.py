"""Writes the tables of README and docs from benchmarks/results, between the marks that stand there.

``python benchmarks/readme_table.py`` writes; with ``--check`` it only says whether all agree.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PAGES = (
    "README.md",
    "README.ko.md",
    "docs/index.md",
    "docs/index.ko.md",
    "docs/benchmarks.md",
)

_TABLE = re.compile(r"(<!-- table: ([\w-]+) -->\n).*?(<!-- end of table -->)", re.DOTALL)

Row = Mapping[str, Any]

_OURS = "llamaindex-vecx"


def stores(korean: bool) -> str:
    """One line a store: median times, recall, reopening, memory."""
    head = (
        "저장소|쿼리 ms|recall@10|20 % 필터 ms|초당 추가 노드|다시 열기 초|최대 MB"
        if korean
        else "Store|query ms|recall@10|20 % filter ms|nodes added/s|reopen s|peak MB"
    )
    ids = " (id만)" if korean else " (ids only)"
    rows = [
        [
            _bold_ours(row["store"]) + (ids if row["answers"] == "ids" else ""),
            _number(row["plain p50 ms"]),
            _number(row["plain recall"], 3),
            _number(row["20 % p50 ms"]),
            _number(_added(row)),
            _number(row["reopen s"]),
            _number(row["peak MB"]),
        ]
        for row in _read("stores")
    ]
    return _markdown(head.split("|"), rows)


def ann(korean: bool) -> str:
    """Queries a second at equal recall, on one core."""
    rows = [row for row in _read("ann") if row.get("table") == "speed"]
    head = ["Data", "recall@10", "Index", "queries/s", "× hnswlib", "build s"]
    return _markdown(
        head,
        [
            [
                row["data"],
                _number(row["recall@10"], 3),
                _bold_ours(row["index"]),
                _number(row["QPS"]),
                _number(row["× hnswlib"]),
                _number(row["build s"]),
            ]
            for row in rows
        ],
    )


def bm25(korean: bool) -> str:
    """Queries a second of keyword search."""
    head = [
        "Data", "Engine", "queries/s", "× bm25s", "× bm25s, strings", "documents indexed/s", "nDCG@10",
    ]  # fmt: skip
    return _markdown(
        head,
        [
            [
                row["data"],
                _bold_ours(row["engine"]),
                _number(row["QPS, tokens given"]),
                _number(row["× bm25s"]),
                _number(row.get("× bm25s, strings")),
                _number(row["documents/s indexed"]),
                _number(row["nDCG@10"], 3),
            ]
            for row in _read("bm25")
            if row.get("QPS, tokens given") is not None
        ],
    )


def first_use(korean: bool) -> str:
    """What compiling costs."""
    keys = ("place", "process", "imports s", "to first answer s", "to every kind of answer s")
    return _markdown(
        ["Installed", "Process", *keys[2:]],
        [[_number(row[key]) for key in keys] for row in _read("first_use")],
    )


TABLES: dict[str, Callable[[bool], str]] = {
    "stores": stores,
    "ann": ann,
    "bm25": bm25,
    "first-use": first_use,
}


def filled(text: str, *, korean: bool) -> str:
    """``text`` with every marked table as the results have it now."""
    return _TABLE.sub(lambda match: f"{match[1]}{TABLES[match[2]](korean)}{match[3]}", text)


def main() -> int:
    """Write or check; 1 where a page disagrees."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing")
    check = parser.parse_args().check
    stale = []
    for name in PAGES:
        page = ROOT / name
        text = page.read_text("utf-8")
        now = filled(text, korean=name.endswith(".ko.md"))
        if now != text:
            stale.append(name)
            if not check:
                page.write_text(now, "utf-8")
    if stale:
        print(("disagree with benchmarks/results: " if check else "written: ") + ", ".join(stale))
    return 1 if check and stale else 0


def _read(name: str) -> list[Row]:
    rows: list[Row] = json.loads((RESULTS / f"{name}.json").read_text("utf-8"))
    return rows


def _added(row: Row) -> float | None:
    """Nodes a second until all are added, whatever is left to do afterwards included."""
    if not row.get("add nodes/s"):
        return None
    return float(row["nodes"] / (row["nodes"] / row["add nodes/s"] + (row["then s"] or 0)))


def _bold_ours(name: str) -> str:
    return f"**{name}**" if "ours" in name or _OURS in name else name


def _number(value: Any, digits: int | None = None) -> str:
    if value is None:
        return "–"
    if not isinstance(value, int | float):
        return str(value)
    if digits is not None:
        return f"{value:.{digits}f}"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return (
        f"{value:.1f}"
        if abs(value) >= 10
        else f"{value:.2f}"
        if abs(value) >= 0.1
        else f"{value:.2g}"
    )


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
