"""Which handler answers which call."""

from __future__ import annotations

from llamaindex_vecx.pinecone_local.api import (
    control,
    documents,
    inference,
    namespaces,
    plain,
    records,
    vectors,
)
from llamaindex_vecx.pinecone_local.api.call import Answer, Call, Handler
from llamaindex_vecx.pinecone_local.api.control import ControlHandler
from llamaindex_vecx.pinecone_local.errors import unimplemented

__all__ = ["control_routes", "data_routes"]


def data_routes() -> list[tuple[str, str, Handler]]:
    """Method, path and handler of the data plane, below an index's host."""
    name = "/namespaces/{namespace}"
    return [
        ("POST", "/vectors/upsert", vectors.upsert),
        ("POST", "/query", vectors.query),
        ("GET", "/vectors/fetch", vectors.fetch),
        ("POST", "/vectors/fetch_by_metadata", vectors.fetch_by_metadata),
        ("POST", "/vectors/update", vectors.update),
        ("POST", "/vectors/delete", vectors.delete),
        ("GET", "/vectors/list", vectors.list_ids),
        ("POST", "/describe_index_stats", vectors.stats),
        ("GET", "/describe_index_stats", vectors.stats),
        ("GET", "/namespaces", namespaces.list_all),
        ("POST", "/namespaces", namespaces.create),
        ("GET", name, namespaces.describe),
        ("DELETE", name, namespaces.delete),
        ("POST", f"{name}/documents/upsert", documents.upsert),
        ("POST", f"{name}/documents/search", documents.search),
        ("POST", f"{name}/documents/fetch", documents.fetch),
        ("POST", f"{name}/documents/update", documents.update),
        ("POST", f"{name}/documents/delete", documents.delete),
        ("POST", f"{name}/documents/list", documents.list_ids),
        ("POST", f"/records{name}/upsert", records.upsert),
        ("POST", f"/records{name}/search", records.find),
        ("POST", "/search", plain.search_index),
        ("GET", "/bulk/imports", lambda call: Answer({"data": []})),
        ("POST", "/bulk/imports", _no_imports),
        ("GET", "/bulk/imports/{id}", _no_imports),
        ("DELETE", "/bulk/imports/{id}", _no_imports),
    ]


def _no_imports(call: Call) -> Answer:
    raise unimplemented("pinecone-local does not implement bulk imports: upsert instead")


def control_routes() -> list[tuple[str, str, ControlHandler]]:
    """Method, path and handler of the control plane and of inference, at the root."""
    index, backup = "/indexes/{index_name}", "/backups/{backup_id}"
    collection, job = "/collections/{collection_name}", "/restore-jobs/{job_id}"
    return [
        ("GET", "/indexes", control.list_all),
        ("POST", "/indexes", control.create),
        ("POST", "/indexes/create-for-model", control.create_for_model),
        ("GET", index, control.describe),
        ("PATCH", index, control.configure),
        ("DELETE", index, control.delete),
        ("GET", "/collections", control.none_of_these("collections")),
        ("POST", "/collections", control.refuse("collections")),
        ("GET", collection, control.nothing_found("Collection", "collection_name")),
        ("DELETE", collection, control.nothing_found("Collection", "collection_name")),
        ("GET", f"{index}/backups", control.no_backups_of),
        ("POST", f"{index}/backups", control.refuse("backups")),
        ("GET", "/backups", control.none_of_these("data")),
        ("GET", backup, control.nothing_found("Backup", "backup_id")),
        ("DELETE", backup, control.nothing_found("Backup", "backup_id")),
        ("POST", f"{backup}/create-index", control.nothing_found("Backup", "backup_id")),
        ("POST", "/embed", inference.embed),
        ("POST", "/rerank", inference.rerank),
        ("GET", "/models", inference.models),
        ("GET", "/models/{model_name}", inference.model),
        ("GET", "/restore-jobs", control.none_of_these("data")),
        ("GET", job, control.nothing_found("Restore job", "job_id")),
    ]
