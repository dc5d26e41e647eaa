"""Client ID metadata documents: a client's identifier is the address of its own description."""

import logging
from typing import Final

import httpx2
from anyio import fail_after
from mcp.shared.auth import OAuthClientInformationFull
from pydantic import AnyUrl, ValidationError

from server.dev.issuer.loopback import is_loopback_url

_FETCH_TIMEOUT_S: Final = 3
_LARGEST_DOCUMENT_BYTES: Final = 10 * 1024
_log = logging.getLogger(__name__)


async def described_client(client_id: str) -> OAuthClientInformationFull | None:
    """Return the client that the document at `client_id` describes; None, with the reason in the log, without one.

    The document is fetched each time, so that a developer sees changes to it at once.
    """
    try:
        client = OAuthClientInformationFull.model_validate_json(await _read(client_id))
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
        _log.warning("client metadata document %r refused: %s", client_id, error)
        return None
    # A published document cannot hold a secret.
    is_public = client.client_secret is None and client.token_endpoint_auth_method in {None, "none"}
    if client.client_id != client_id or not is_public:
        _log.warning("client metadata document %r refused: another client_id, or a shared secret", client_id)
        return None
    return client.model_copy(update={"token_endpoint_auth_method": "none"})


def is_document_address(client_id: str) -> bool:
    """Return whether `client_id` may be fetched: https or loopback, with a path, without fragment or credentials."""
    try:
        url = AnyUrl(client_id)
    except ValidationError:
        return False
    if url.fragment is not None or url.username is not None or url.password is not None or url.path in {None, "/"}:
        return False
    # Parsing resolves dot segments, so an address that has them differs afterwards.
    return str(url) == client_id and (url.scheme == "https" or is_loopback_url(url))


async def _read(address: str) -> bytes:
    """Return the body, fetched without redirects; ValueError when it may not be fetched or is too large."""
    if not is_document_address(address):
        raise ValueError("the address is not https or loopback, or has no path")
    body = bytearray()
    # A proxy from the environment cannot reach a loopback address.
    http = httpx2.AsyncClient(follow_redirects=False, trust_env=not is_loopback_url(address))
    with fail_after(_FETCH_TIMEOUT_S):
        async with http, http.stream("GET", address, headers={"Accept": "application/json"}) as answer:
            if answer.status_code != 200:
                raise ValueError(f"it answers {answer.status_code}")
            async for chunk in answer.aiter_bytes():
                body += chunk
                if len(body) > _LARGEST_DOCUMENT_BYTES:
                    raise ValueError(f"it is larger than {_LARGEST_DOCUMENT_BYTES} bytes")
    return bytes(body)
