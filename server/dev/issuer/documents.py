"""Client ID metadata documents: a client whose identifier is the address of its own description."""

import logging
from typing import Final
from urllib.parse import urlsplit

import httpx2
from anyio import fail_after
from pydantic import AnyUrl, BaseModel, Field, ValidationError

from server.dev.issuer.loopback import is_loopback_url
from server.dev.issuer.store import ExpiringStore

_log = logging.getLogger(__name__)

FETCH_TIMEOUT_S: Final = 3
LARGEST_DOCUMENT_BYTES: Final = 10 * 1024
_KEEP_S: Final = 300


class ClientDocument(BaseModel):
    """The members that we use of a client ID metadata document (draft-ietf-oauth-client-id-metadata-document)."""

    client_id: str
    client_name: str | None = None
    redirect_uris: list[AnyUrl] = Field(min_length=1)
    token_endpoint_auth_method: str = "none"  # noqa: S105 - a method, not a secret
    client_secret: str | None = None


class ClientDocuments:
    """Fetch and keep clients' documents: https or loopback only, no redirect, 10 KB and 3 s at most."""

    def __init__(self) -> None:
        self._kept: ExpiringStore[ClientDocument] = ExpiringStore(lifetime_s=_KEEP_S, capacity=100)

    async def fetch(self, client_id: str) -> ClientDocument | None:
        """Return the document at `client_id`, or None with the reason in the log."""
        kept = self._kept.get(client_id)
        if kept is not None:
            return kept
        if not is_document_address(client_id):
            _log.warning("client metadata document refused: %r is no https or loopback address with a path", client_id)
            return None
        try:
            document = ClientDocument.model_validate_json(await _read(client_id))
        except (httpx2.HTTPError, ValidationError, TimeoutError, OSError, ValueError) as error:
            _log.warning("client metadata document at %s refused: %s", client_id, error)
            return None
        if document.client_id != client_id or not _is_public(document):
            _log.warning("client metadata document at %s refused: another client_id, or a shared secret", client_id)
            return None
        self._kept.put(client_id, document)
        return document


def is_document_address(client_id: str) -> bool:
    """Say whether `client_id` may be fetched: https or loopback, with a path, without fragment or credentials."""
    try:
        parts = urlsplit(client_id)
    except ValueError:
        return False
    if "@" in parts.netloc or parts.fragment or parts.path in {"", "/"} or not parts.hostname:
        return False
    if {".", ".."} & set(parts.path.split("/")):
        return False
    return parts.scheme == "https" or is_loopback_url(client_id)


def _is_public(document: ClientDocument) -> bool:
    """Say whether the client claims no shared secret: a published document cannot hold one."""
    return document.client_secret is None and document.token_endpoint_auth_method == "none"  # noqa: S105 - a method


async def _read(address: str) -> bytes:
    """Return the body at `address`; ValueError when it is not a JSON document of an acceptable size."""
    # A proxy from the environment has no way to a loopback address.
    through_proxy = not is_loopback_url(address)
    with fail_after(FETCH_TIMEOUT_S):
        async with (
            httpx2.AsyncClient(follow_redirects=False, trust_env=through_proxy, timeout=FETCH_TIMEOUT_S) as http,
            http.stream("GET", address, headers={"Accept": "application/json"}) as answer,
        ):
            if answer.status_code != 200:
                raise ValueError(f"it answers {answer.status_code}")
            body = bytearray()
            async for chunk in answer.aiter_bytes():
                body += chunk
                if len(body) > LARGEST_DOCUMENT_BYTES:
                    raise ValueError(f"it is larger than {LARGEST_DOCUMENT_BYTES} bytes")
    return bytes(body)
