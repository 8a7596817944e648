"""Every exception this package raises on purpose.

::

    VecxError
    ├── InvalidInputError (ValueError)       an argument is wrong; nothing was changed
    │   ├── DimensionError                   a vector of another length than the collection's
    │   ├── NonFiniteError                   NaN or infinity in a vector
    │   ├── DuplicateIdError                 one id twice in one batch
    │   ├── MissingEmbeddingError            a node or a query without an embedding
    │   ├── EmptyQueryError                  text is searched and there is none
    │   ├── FilterError                      unknown operator or a value the operator can't take
    │   └── SerializationError               metadata that JSON can't hold
    ├── UnsupportedError (NotImplementedError)   the store can't do that, by name
    ├── SettingsConflictError (ValueError)   an argument contradicts the stored collection
    ├── StorageError (OSError)               the disk or the files on it
    │   ├── NotACollectionError              the folder holds something else
    │   ├── FormatError                      written by a newer version, or damaged
    │   │   └── DamagedSnapshotError         a view's file is missing, cut or altered; views are rebuilt
    │   ├── ReadOnlyError                    a write to what can't be written
    │   ├── DiskFullError                    no room; the transaction was rolled back
    │   └── LockedError                      another process writes here; names its pid
    ├── RemoteError (RuntimeError)           a service refused, failed, or did not answer
    │   ├── AccessDeniedError                the API key was refused
    │   ├── MissingIndexError                the service has no index of that name
    │   └── PartialWriteError                some nodes were stored and some were not; names both
    ├── SourceError (RuntimeError)           a source of a HybridRetriever failed; names it
    ├── ClosedError (RuntimeError)           used after close()
    └── MissingExtraError (ImportError)      an optional dependency; names the pip line

Each message names the argument, the value's shape or type, and the remedy.
"""

from __future__ import annotations

__all__ = [
    "AccessDeniedError",
    "ClosedError",
    "DamagedSnapshotError",
    "DimensionError",
    "DiskFullError",
    "DuplicateIdError",
    "EmptyQueryError",
    "FilterError",
    "FormatError",
    "InvalidInputError",
    "LockedError",
    "MissingEmbeddingError",
    "MissingExtraError",
    "MissingIndexError",
    "NonFiniteError",
    "NotACollectionError",
    "PartialWriteError",
    "ReadOnlyError",
    "RemoteError",
    "SerializationError",
    "SettingsConflictError",
    "SourceError",
    "StorageError",
    "UnsupportedError",
    "VecxError",
]


class VecxError(Exception):
    """Base of every exception in this package."""


class InvalidInputError(VecxError, ValueError):
    """An argument is wrong. Nothing was changed."""


class DimensionError(InvalidInputError):
    """A vector has another length than the index or collection."""


class NonFiniteError(InvalidInputError):
    """A vector holds NaN or infinity."""


class DuplicateIdError(InvalidInputError):
    """The same id stands twice in one batch."""


class MissingEmbeddingError(InvalidInputError):
    """A node or a query has no embedding where one is needed."""


class EmptyQueryError(InvalidInputError):
    """Text is searched and the query has none."""


class FilterError(InvalidInputError):
    """A metadata filter has an unknown operator or a value the operator can't take."""


class SerializationError(InvalidInputError):
    """Metadata or a node holds something JSON can't."""


class UnsupportedError(VecxError, NotImplementedError):
    """The store or index can't do what was asked; the message says by what it is refused."""


class SettingsConflictError(VecxError, ValueError):
    """An argument contradicts a setting of the stored collection; the message names both."""


class StorageError(VecxError, OSError):
    """The disk, or the files on it."""


class NotACollectionError(StorageError):
    """The folder exists and is not a collection of ours."""


class FormatError(StorageError):
    """Files that were written by a newer version of this package, or are damaged."""


class DamagedSnapshotError(FormatError):
    """A file of a snapshot is missing, cut or altered."""


class ReadOnlyError(StorageError):
    """A write to a collection that was opened, or can only be opened, for reading."""


class DiskFullError(StorageError):
    """The disk, or SQLite's page limit, is full. The transaction was rolled back."""


class LockedError(StorageError):
    """Another process has the collection open for writing."""


class RemoteError(VecxError, RuntimeError):
    """A service refused, failed, or did not answer in time.

    Parameters
    ----------
    message : str
    status : int, optional
        HTTP status, where there was an answer.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class AccessDeniedError(RemoteError):
    """The service refused the API key, or the key may not do that."""


class MissingIndexError(RemoteError):
    """The service has no index of that name."""


class PartialWriteError(RemoteError):
    """Some nodes were stored and some were not. Adding the failed ones again is safe.

    Parameters
    ----------
    message : str
    stored : list of str
        Ids that the service acknowledged.
    failed : dict
        Reason by id, for all others.
    """

    def __init__(self, message: str, stored: list[str], failed: dict[str, str]) -> None:
        super().__init__(message)
        self.stored = stored
        self.failed = failed


class SourceError(VecxError, RuntimeError):
    """A source of a HybridRetriever failed; its own exception is the cause.

    Parameters
    ----------
    source : str
        Name of the source.
    message : str
    """

    def __init__(self, source: str, message: str) -> None:
        super().__init__(message)
        self.source = source


class ClosedError(VecxError, RuntimeError):
    """The collection was closed."""


class MissingExtraError(VecxError, ImportError):
    """An optional dependency is not installed.

    Parameters
    ----------
    package : str
        The import that failed, e.g. ``"faiss"``.
    extra : str
        The extra that brings it, e.g. ``"faiss"``.
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"{package!r} is not installed. Run: pip install 'llamaindex-vecx[{extra}]'"
        )
        self.package = package
        self.extra = extra
