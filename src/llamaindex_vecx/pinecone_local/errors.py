"""Refusals, in the bodies that Pinecone's two planes write.

The control plane answers ``{"status": 404, "error": {"code": "NOT_FOUND", "message": …}}``, the data
plane gRPC's status as JSON, ``{"code": 5, "message": …, "details": []}``.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "ApiError",
    "already_exists",
    "forbidden",
    "invalid",
    "missing",
    "not_found",
    "unauthenticated",
    "unimplemented",
]

_GRPC = {
    "INVALID_ARGUMENT": 3,
    "NOT_FOUND": 5,
    "ALREADY_EXISTS": 6,
    "FORBIDDEN": 7,
    "RESOURCE_EXHAUSTED": 8,
    "FAILED_PRECONDITION": 9,
    "OUT_OF_RANGE": 11,
    "UNIMPLEMENTED": 12,
    "INTERNAL": 13,
    "UNAVAILABLE": 14,
    "UNAUTHENTICATED": 16,
}


class ApiError(Exception):
    """An answer other than success.

    Parameters
    ----------
    status : int
        Of HTTP.
    code : str
        Pinecone's name of the error, e.g. ``"NOT_FOUND"``.
    message : str
    headers : dict, optional
        E.g. ``Retry-After``.
    """

    def __init__(
        self, status: int, code: str, message: str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers: dict[str, str] = headers or {}

    def body(self, plane: str) -> dict[str, Any]:
        """The JSON body, as the "control" or the "data" plane writes it."""
        if plane == "control":
            return {
                "status": self.status,
                "error": {"code": self.code, "message": self.message},
            }
        return {"code": _GRPC[self.code], "message": self.message, "details": []}


def invalid(message: str) -> ApiError:
    """400: the request is wrong."""
    return ApiError(400, "INVALID_ARGUMENT", message)


def missing(name: str) -> ApiError:
    """422: a field that must be there is not."""
    return ApiError(422, "INVALID_ARGUMENT", f"Missing required field: {name}")


def not_found(message: str) -> ApiError:
    """404: no such index, namespace or thing."""
    return ApiError(404, "NOT_FOUND", message)


def already_exists(message: str) -> ApiError:
    """409: the name is taken."""
    return ApiError(409, "ALREADY_EXISTS", message)


def forbidden(message: str) -> ApiError:
    """403: the service or this server doesn't allow it."""
    return ApiError(403, "FORBIDDEN", message)


def unauthenticated(message: str) -> ApiError:
    """401: no key, or another one."""
    return ApiError(401, "UNAUTHENTICATED", message)


def unimplemented(message: str) -> ApiError:
    """400 of kind UNIMPLEMENTED: the service has it, this server doesn't."""
    return ApiError(400, "UNIMPLEMENTED", message)
