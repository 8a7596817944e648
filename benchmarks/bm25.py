"""How fast is keyword search? Ours beside bm25s (numba), rank-bm25, tantivy and LlamaIndex's BM25Retriever.

One thread, k = 10, CPU time, interleaved rounds, medians. Tokens are given twice: as what each engine has
looked up before, bm25s' token ids and our prepared queries; and as strings, which both look up within the
time. rank-bm25 and tantivy know strings only. "10 % updates": a tenth of the documents was
removed and added again under new rows, as `add` leaves the index: a small collection may have merged its
segments by itself, `compact` was not called. LlamaIndex's retriever needs another PyStemmer than we do: it
runs in an environment of its own (`make peers`), or is left out.
"""

from __future__ import annotations

import gzip
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import bm25s
import numpy as np
import rank_bm25
import Stemmer

from harness import DATA, ROOT, arguments, console, describe, finish, table
from llamaindex_vecx.evaluation import get_measure
from llamaindex_vecx.text import BM25, get_tokenizer
from quality_data import read_korquad, read_scifact

sys.path.append(str(ROOT))
from tests.conformance.peers.environments import python_of

K = 10
STRINGS = ", strings"
SHARES = (0.5, 0.1, 0.01)
PEER = "bm25"


@dataclass
class Data:
    name: str
    tokens: list[list[str]]
    queries: list[list[str]]
    texts: list[str] = field(default_factory=list)
    query_texts: list[str] = field(default_factory=list)
    judged: int = 0
    qrels: Any = None


def from_dataset(name: str, dataset: Any, more_queries: Sequence[str] = ()) -> Data:
    tokenizer = get_tokenizer("default")
    texts = [*dataset.queries, *more_queries]
    return Data(
        name,
        [tokenizer(text) for text in dataset.documents],
        [tokenizer(text) for text in texts],
        dataset.documents,
        texts,
        len(dataset.queries),
        dataset.qrels,
    )


def scifact(quick: bool) -> Data:
    with gzip.open(DATA / "scifact" / "queries.jsonl.gz", "rt", encoding="utf-8") as file:
        more = [json.loads(line)["text"] for line in file]
    return from_dataset("SciFact", read_scifact("test", quick), more)


def generated(size: int) -> Data:
    """Documents of 40 tokens on average from a Zipf distribution; queries are five tokens of one."""
    rng = np.random.default_rng(0)
    chances = np.cumsum(1.0 / np.arange(1, 200_001))
    lengths = np.clip(rng.poisson(40, size), 5, None)
    ids = np.searchsorted(chances / chances[-1], rng.random(lengths.sum()))
    names = np.array([f"t{number}" for number in range(len(chances) + 1)], dtype=object)
    words: list[str] = names[ids].tolist()
    ends = np.cumsum(lengths).tolist()
    documents = [words[end - n : end] for end, n in zip(ends, lengths.tolist(), strict=True)]
    queries = []
    for place in rng.choice(size, 400, replace=False):
        distinct = list(dict.fromkeys(documents[place]))
        chosen = rng.choice(len(distinct), min(5, len(distinct)), replace=False)
        queries.append([distinct[one] for one in chosen])
    return Data(f"{size:,} × 40 Zipf tokens", documents, queries)


# Engines: each a name, a build and a run over all queries


class Ours:
    name = "llamaindex-vecx"

    def __init__(self, data: Data) -> None:
        self.index = BM25()
        self.index.add(np.arange(len(data.tokens)), data.tokens)

    def update(self, data: Data) -> None:
        size = len(data.tokens)
        gone = np.random.default_rng(1).choice(size, size // 10, replace=False)
        self.index.remove(gone)
        self.index.add(np.arange(size, size + len(gone)), [data.tokens[row] for row in gone])
        # Its documents have other rows now.
        self.document_of = np.concatenate([np.arange(size), gone])

    def run(self, queries: Any, allowed: Any = None) -> np.ndarray:
        return self.index.search_many(queries, K, allowed=allowed)[0]


class Bm25s:
    name = "bm25s (numba)"

    def __init__(self, data: Data) -> None:
        self.index = bm25s.BM25(method="lucene", k1=1.2, b=0.75, backend="numba")
        self.index.index(data.tokens, show_progress=False)

    def number(self, queries: list[list[str]]) -> list[list[int]]:
        known = self.index.vocab_dict
        return [[known[token] for token in query if token in known] or [0] for query in queries]

    def run(self, queries: Any) -> np.ndarray:
        return self.index.retrieve(queries, k=K, show_progress=False, n_threads=1).documents


class RankBm25:
    name = "rank-bm25 (Okapi)"

    def __init__(self, data: Data) -> None:
        self.index = rank_bm25.BM25Okapi(data.tokens)

    def run(self, queries: list[list[str]]) -> list[np.ndarray]:
        return [np.argsort(-self.index.get_scores(query))[:K] for query in queries]


class Tantivy:
    name = "tantivy"

    def __init__(self, data: Data) -> None:
        import tantivy

        self.tantivy = tantivy
        builder = tantivy.SchemaBuilder()
        builder.add_text_field("body", tokenizer_name="whitespace", index_option="freq")
        builder.add_integer_field("number", stored=False, fast=True)
        self.schema = builder.build()
        index = tantivy.Index(self.schema)
        writer = index.writer(heap_size=512_000_000, num_threads=1)
        for number, tokens in enumerate(data.tokens):
            writer.add_document(tantivy.Document(body=" ".join(tokens), number=number))
        writer.commit()
        writer.wait_merging_threads()
        index.reload()
        self.searcher = index.searcher()

    def run(self, queries: list[list[str]]) -> list[Any]:
        query, occur = self.tantivy.Query, self.tantivy.Occur.Should
        return [
            self.searcher.search(
                query.boolean_query(
                    [(occur, query.term_query(self.schema, "body", token)) for token in tokens]
                ),
                K,
            ).hits
            for tokens in queries
        ]


# Measuring


def ndcg_at_10(run: list[list[int]], qrels: dict[str, dict[str, int]]) -> float:
    measure = get_measure("ndcg@10").of
    return statistics.mean(
        measure([str(row) for row in rows], qrels[str(query)]) for query, rows in enumerate(run)
    )


def cpu(work: Callable[[], Any]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def interleaved(work: dict[str, tuple[Callable[[], Any], int]], rounds: int) -> dict[str, float]:
    """Median microseconds a query; ``work`` says how many queries a call runs."""
    for call, _ in work.values():
        call()
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(rounds):
        for name, (call, count) in work.items():
            seconds[name].append(cpu(call) / count * 1e6)
    return {name: statistics.median(values) for name, values in seconds.items()}


def resident() -> float:
    """Megabytes."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096 / 1e6


def built(kind: Any, data: Data) -> tuple[Any, float, float]:
    before, start = resident(), time.process_time()
    engine = kind(data)
    return engine, time.process_time() - start, resident() - before


def single_p50(search: Callable[[Any], Any], queries: Sequence[Any]) -> float:
    """Microseconds of wall clock; the smaller of three medians, since others share the machine."""
    medians = []
    for _ in range(3):
        times = []
        for query in queries:
            start = time.perf_counter_ns()
            search(query)
            times.append(time.perf_counter_ns() - start)
        medians.append(statistics.median(times) / 1000)
    return min(medians)


def measure(data: Data, rounds: int, slow: bool) -> list[dict[str, Any]]:
    warm = BM25()
    warm.add(np.arange(300), data.tokens[:300])
    warm.search_many(data.queries[:100], K)
    warm.search_many(data.queries[:100], K, allowed=np.ones(300, dtype=np.bool_))
    warm.remove([0])
    console.print(f"building {data.name}")
    ours, ours_s, ours_mb = built(Ours, data)
    fresh = ours.run(data.queries)
    peers = {
        kind.name: built(kind, data) for kind in (Bm25s, Tantivy, *([RankBm25] if slow else []))
    }
    frozen, count = peers[Bm25s.name][0], len(data.queries)
    ids, prepared = frozen.number(data.queries), BM25.prepare(data.queries)
    few = data.queries[:40]
    work = {
        Bm25s.name: (lambda: frozen.run(ids), count),
        f"{Ours.name}, fresh": (lambda: ours.run(prepared), count),
        f"{Bm25s.name}{STRINGS}": (lambda: frozen.run(data.queries), count),
        f"{Ours.name}, fresh{STRINGS}": (lambda: ours.run(data.queries), count),
    }
    if RankBm25.name in peers:
        work[RankBm25.name] = (lambda: peers[RankBm25.name][0].run(few), len(few))
    some = data.queries[:400]
    work[Tantivy.name] = (lambda: peers[Tantivy.name][0].run(some), len(some))
    p50 = {
        Ours.name: single_p50(lambda query: ours.index.search(query, K), some),
        Bm25s.name: single_p50(lambda query: frozen.run([query]), ids[:400]),
    }
    micros = interleaved(work, rounds)
    removed = cpu(lambda: ours.update(data))
    rng = np.random.default_rng(2)
    rows = len(ours.document_of)
    work = {
        Bm25s.name: work[Bm25s.name],
        f"{Ours.name}, 10 % updates": (lambda: ours.run(prepared), count),
        f"{Bm25s.name}{STRINGS}": work[f"{Bm25s.name}{STRINGS}"],
        f"{Ours.name}, 10 % updates{STRINGS}": (lambda: ours.run(data.queries), count),
    }
    for share in SHARES:
        mask = rng.random(rows) < share
        work[f"{Ours.name}, 10 % updates, filter {share:.0%}"] = (
            lambda mask=mask: ours.run(prepared, mask),
            count,
        )
    later = interleaved(work, rounds)
    updated_p50 = single_p50(lambda query: ours.index.search(query, K), some)
    table_rows = []
    for name, value in [*micros.items(), *list(later.items())[1:]]:
        if name.endswith(STRINGS):
            continue
        plain = name.split(",")[0]
        base = later if "updates" in name else micros
        strings = base.get(f"{name}{STRINGS}")
        _, seconds, megabytes = peers.get(name) or (
            (None, ours_s, ours_mb) if "fresh" in name else (None, None, None)
        )
        table_rows.append(
            {
                "data": data.name,
                "engine": name,
                "QPS, tokens given": 1e6 / value,
                "× bm25s": base[Bm25s.name] / value,
                "QPS, strings given": 1e6 / strings if strings else None,
                "× bm25s, strings": base[f"{Bm25s.name}{STRINGS}"] / strings if strings else None,
                "one query p50 µs": updated_p50
                if name.endswith("updates")
                else (p50.get(plain) if "filter" not in name else None),
                "documents/s indexed": len(data.tokens) / seconds if seconds else None,
                "MB": megabytes,
                "nDCG@10": None,
            }
        )
    if data.qrels is not None:
        measured = {
            f"{Ours.name}, fresh": fresh,
            f"{Ours.name}, 10 % updates": ours.document_of[ours.run(data.queries)],
            Bm25s.name: frozen.run(ids),
        }
        if RankBm25.name in peers:
            measured[RankBm25.name] = peers[RankBm25.name][0].run(data.queries[: data.judged])
        for row in table_rows:
            if row["engine"] in measured:
                run = [list(map(int, one)) for one in measured[row["engine"]][: data.judged]]
                row["nDCG@10"] = ndcg_at_10(run, data.qrels)
    console.print(
        f"{data.name}: the updates took {removed / (len(data.tokens) // 10) * 1e6:.0f} µs a document"
    )
    return table_rows


def from_text(data: Data, rounds: int) -> list[dict[str, Any]]:
    """From a query's text: each engine with its own tokenizer, both with Snowball stems."""
    ours, tokenizer = Ours(data), get_tokenizer("default")
    ours.update(data)
    stemmer = Stemmer.Stemmer("english")

    def tokenized(texts: list[str]) -> Any:
        return bm25s.tokenize(texts, stopwords="en", stemmer=stemmer, show_progress=False)

    frozen = bm25s.BM25(method="lucene", k1=1.2, b=0.75, backend="numba")
    frozen.index(tokenized(data.texts), show_progress=False)
    count = len(data.query_texts)
    micros = interleaved(
        {
            Bm25s.name: (
                lambda: frozen.retrieve(
                    tokenized(data.query_texts), k=K, show_progress=False, n_threads=1
                ),
                count,
            ),
            f"{Ours.name}, 10 % updates": (
                lambda: ours.run([tokenizer(text) for text in data.query_texts]),
                count,
            ),
        },
        rounds,
    )
    return [
        {
            "data": data.name,
            "engine": name,
            "QPS, from text": 1e6 / value,
            "× bm25s": micros[Bm25s.name] / value,
        }
        for name, value in micros.items()
    ]


def same_scores(data: Data) -> list[dict[str, Any]]:
    """The largest difference to the peer of the same variant, over all documents of 50 queries."""
    rows = []
    peers: dict[str, Callable[[list[str]], Any]] = {}
    for name, kind in (
        ("okapi", rank_bm25.BM25Okapi),
        ("l", rank_bm25.BM25L),
        ("plus", rank_bm25.BM25Plus),
    ):
        peers[name] = kind(data.tokens).get_scores
    for name in ("lucene", "robertson", "atire"):
        peer = bm25s.BM25(method=name, k1=1.2, b=0.75, dtype="float64")
        peer.index(data.tokens, show_progress=False)
        peers[name] = peer.get_scores
    for name, scores_of in peers.items():
        index = BM25(name, k1=1.2) if name in ("lucene", "robertson", "atire") else BM25(name)
        index.add(np.arange(len(data.tokens)), data.tokens)
        worst = 0.0
        for query in data.queries[:50]:
            found, scores = index.scores(query)
            wanted = np.asarray(scores_of([t for t in query if t in index._vocabulary]))[found]
            scale = np.abs(wanted).max() or 1.0
            worst = max(worst, float(np.abs(scores - wanted).max() / scale))
        rows.append({"data": data.name, "variant": name, "largest relative difference": worst})
    return rows


def llama_index(data: Data) -> list[dict[str, Any]]:
    """LlamaIndex's BM25Retriever, in the environment where it lives."""
    python = python_of(PEER)
    if not python.exists():
        console.print("LlamaIndex's BM25Retriever is left out: `make peers` installs it")
        return []
    done = subprocess.run(
        [python, str(ROOT / "benchmarks" / "store_workers" / "bm25_retriever.py")],
        input=json.dumps({"texts": data.texts, "queries": data.query_texts[:200]}),
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    answer = json.loads(done.stdout.splitlines()[-1])
    from llama_index.core.schema import TextNode

    from llamaindex_vecx import BM25Retriever

    nodes = [TextNode(id_=str(row), text=text) for row, text in enumerate(data.texts)]
    start = time.process_time()
    retriever = BM25Retriever(nodes, similarity_top_k=K, show_progress=False)
    seconds = time.process_time() - start
    queries = data.query_texts[:200]
    retriever.retrieve(queries[0])
    micros = cpu(lambda: [retriever.retrieve(query) for query in queries]) / len(queries) * 1e6
    runs = [[int(hit.node_id) for hit in retriever.retrieve(q)] for q in queries]
    judged = min(data.judged, len(queries))
    rows = []
    for name, us, build, run in (
        ("LlamaIndex's BM25Retriever", answer["us"], answer["build_s"], answer["runs"]),
        ("our BM25Retriever", micros, seconds, runs),
    ):
        rows.append(
            {
                "data": data.name,
                "retriever": name,
                "retrieve() µs": us,
                "nodes/s indexed": len(nodes) / build,
                f"nDCG@10 ({judged} queries)": ndcg_at_10(run[:judged], data.qrels),
            }
        )
    return rows


def main() -> None:
    asked = arguments(__doc__.splitlines()[0])
    size = 50_000 if asked.quick else 1_000_000
    packages = ["bm25s", "rank-bm25", "tantivy", "PyStemmer"]
    console.print(describe(f"SciFact, KorQuAD, {size:,} generated documents", packages))
    rounds = 3 if asked.quick else 5
    rows: list[dict[str, Any]] = []
    if (DATA / "scifact").exists():
        data = scifact(asked.quick)
        korean = from_dataset("KorQuAD", read_korquad(200 if asked.quick else 1000))
        for one in (data, korean):
            found = measure(one, rounds, slow=True)
            table(f"{one.name}, {len(one.tokens):,} documents", found)
            rows += found
        for title, found in (
            ("From text", from_text(data, rounds) + from_text(korean, rounds)),
            ("Scores beside rank-bm25's (okapi, l, plus) and bm25s'", same_scores(data)),
            ("As LlamaIndex retrievers", llama_index(data)),
        ):
            if found:
                table(title, found)
                rows += found
    else:
        console.print(
            f"{DATA / 'scifact'} is not there: set VECX_DATA to the folder of shared data"
        )
    found = measure(generated(size), rounds, slow=asked.quick)
    table("Generated", found)
    rows += found
    finish(rows, asked.json)


if __name__ == "__main__":
    main()
