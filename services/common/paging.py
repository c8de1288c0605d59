"""Page sizes and page tokens of list methods."""

import base64
import hashlib
from collections.abc import Mapping
from typing import Protocol, TypeVar

from services.common.errors import InvalidInput, Violation

T = TypeVar("T")


class ListRequest(Protocol):
    """A request of a list method."""

    page_size: int
    page_token: str


def page_of(entries: Mapping[str, T], request: ListRequest, scope: str) -> tuple[list[T], str]:
    """A page of a small catalogue, in the catalogue's own order, and the token of the next page.

    Raises:
        InvalidInput: page size or token is wrong.
    """
    size, start = page_size(request.page_size), int(read_token(scope, request.page_token) or 0)
    token = make_token(scope, str(start + size)) if len(entries) > start + size else ""
    return list(entries.values())[start : start + size], token


def page_size(requested: int, default: int = 100, limit: int = 1_000) -> int:
    """The number of entries to return.

    Raises:
        InvalidInput: the size asked for is negative or above the limit.
    """
    if not 0 <= requested <= limit:
        raise InvalidInput("FIELD_INVALID", [Violation("page_size", f"is {requested}, must be 0 to {limit}")])
    return requested or default


def make_token(scope: str, position: str) -> str:
    """A token for the page after a position; good only for the same scope (method and parameters)."""
    return base64.urlsafe_b64encode(f"{_digest(scope)}{position}".encode()).decode()


def read_token(scope: str, token: str, field: str = "page_token") -> str:
    """The position in a token; empty for an empty token.

    Raises:
        InvalidInput: the token was not made for this scope.
    """
    if not token:
        return ""
    try:
        text = base64.urlsafe_b64decode(token.encode()).decode()
    except ValueError:
        text = ""
    if not text.startswith(_digest(scope)):
        raise InvalidInput(
            "PAGE_TOKEN_INVALID", [Violation(field, f"{token!r} was not given out by this method for these parameters")]
        )
    return text[len(_digest(scope)) :]


def _digest(scope: str) -> str:
    return hashlib.blake2b(scope.encode(), digest_size=6).hexdigest()
