"""Run schemathesis over OpenAPI files of pinecone-io/pinecone-api against a server of our own.

The data plane is asked of every kind of index. Exits with 1 if a response was a 5xx, or of a status, type or
body that the files don't allow.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from llamaindex_vecx.pinecone_local import PineconeLocal
from tests.pinecone_local.raw import DENSE, send

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
PLANES = ("db_control", "db_data", "inference")
INDEXES: dict[str, dict[str, Any]] = {
    "dense": {**DENSE, "name": "dense"},
    "hybrid": {**DENSE, "name": "hybrid", "metric": "dotproduct"},
    "sparse": {
        **{key: value for key, value in DENSE.items() if key != "dimension"},
        "name": "sparse",
        "metric": "dotproduct",
        "vector_type": "sparse",
    },
}
MODEL = {
    "name": "model",
    "cloud": "aws",
    "region": "us-east-1",
    "embed": {"model": "all-MiniLM-L6-v2", "field_map": {"text": "text"}},
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("spec", type=Path, help="an OpenAPI file, or a folder with some")
    parser.add_argument("--schemathesis", required=True, help="its executable")
    parser.add_argument(
        "--examples", type=int, default=25, help="at most so many an operation and phase"
    )
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    files = (
        [arguments.spec] if arguments.spec.is_file() else sorted(arguments.spec.glob("*.oas.yaml"))
    )
    files = [file for file in files if file.name.startswith(PLANES)]
    if not files:
        print(f"no OpenAPI file of {', '.join(PLANES)} in {arguments.spec}", file=sys.stderr)
        return 2
    failed = 0
    with PineconeLocal() as server:
        for file in files:
            for name, url in targets(server, file):
                print(f"=== {file.name}, {name}", flush=True)
                failed += bool(run(arguments, file, url))
    return int(failed > 0)


def targets(server: PineconeLocal, file: Path) -> list[tuple[str, str]]:
    """Where a file is to be tried: the control plane, or every kind of index, filled anew."""
    server.clear()
    for model in INDEXES.values():
        assert send(server, "POST", "/indexes", model).status == 201
    kinds = list(INDEXES)
    if send(server, "POST", "/indexes/create-for-model", MODEL).status == 201:
        kinds.append("model")
    else:
        print("no embedding model on this machine: without an index with integrated embedding")
    if not file.name.startswith("db_data"):
        return [("control plane", server.url)]
    for kind in kinds:
        fill(server, kind)
    return [(f"{kind} index", server.host(kind)) for kind in kinds]


def fill(server: PineconeLocal, kind: str) -> None:
    """A few records under the ids and namespaces that the files give as examples."""
    for namespace in ("", "example-namespace"):
        if kind == "model":
            lines = b'{"_id": "example-vector-1", "text": "a cat"}'
            path = f"/i/model/records/namespaces/{namespace or '__default__'}/upsert"
            assert send(server, "POST", path, lines).status == 201
            continue
        vector: dict[str, Any] = {
            "id": "example-vector-1",
            "metadata": {"genre": "drama", "year": 2019},
        }
        if kind != "sparse":
            vector["values"] = [0.5, 1.0]
        if kind != "dense":
            vector["sparseValues"] = {"indices": [1, 2], "values": [0.5, 1.0]}
        body = {"vectors": [vector, {**vector, "id": "id-1"}], "namespace": namespace}
        assert send(server, "POST", f"/i/{kind}/vectors/upsert", body).status == 200


def run(arguments: argparse.Namespace, file: Path, url: str) -> int:
    command = [
        *(arguments.schemathesis, "run", str(file), "--url", url),
        *("--checks", ",".join(CHECKS)),
        *("--max-examples", str(arguments.examples), "--seed", str(arguments.seed)),
        *("--continue-on-failure", "--no-color", "--suppress-health-check", "all"),
    ]
    if file.name.startswith("db_control"):
        # the links in this file name operations of another file, so no sequence can be made of them
        command += ["--phases", "examples,coverage,fuzzing"]
    hooks = {"SCHEMATHESIS_HOOKS": "tests.pinecone_local.spec.hooks", "PYTHONPATH": ""}
    return subprocess.run(command, env={**os.environ, **hooks}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
