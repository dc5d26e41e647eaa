"""What the development issuer says about itself: its metadata, under both names, and its key set."""

from typing import Any

from mcp.server.auth.routes import build_metadata
from mcp.server.auth.settings import AuthSettings, ClientRegistrationOptions, RevocationOptions
from pydantic import AnyHttpUrl
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from server.dev.issuer.keys import SigningKeys

_CACHED = {"Cache-Control": "public, max-age=300"}


def exact_issuer(url: str) -> AnyHttpUrl:
    """Return `url` as the SDK wants it, without the slash that a bare AnyHttpUrl would add to it."""
    return AuthSettings.model_validate({"issuer_url": url, "resource_server_url": None}).issuer_url


def issuer_metadata(url: str, registration: ClientRegistrationOptions, revocation: RevocationOptions) -> dict[str, Any]:
    """Return one document that serves RFC 8414 section 2 and OpenID Connect Discovery 1.0 section 3 alike."""
    document = build_metadata(exact_issuer(url), None, registration, revocation)
    secrets = ["none", "client_secret_post", "client_secret_basic"]
    return {
        **document.model_dump(mode="json", exclude_none=True),
        "jwks_uri": f"{url}/.well-known/jwks.json",
        "userinfo_endpoint": f"{url}/userinfo",
        "end_session_endpoint": f"{url}/logout",
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
        "response_modes_supported": ["query"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "token_endpoint_auth_methods_supported": secrets,
        "revocation_endpoint_auth_methods_supported": secrets,
        "authorization_response_iss_parameter_supported": True,
        "client_id_metadata_document_supported": True,
        # Discovery 1.0 section 3: leaving it out would promise support.
        "request_uri_parameter_supported": False,
    }


class Discovery:
    """The handlers of the documents under /.well-known."""

    def __init__(self, document: dict[str, Any], keys: SigningKeys) -> None:
        self._document = document
        self._keys = keys

    async def metadata(self, request: Request) -> Response:  # noqa: ARG002 - the same for every request
        """Answer with the issuer's metadata."""
        return JSONResponse(self._document, headers=_CACHED)

    async def key_set(self, request: Request) -> Response:  # noqa: ARG002 - the same for every request
        """Answer with the public keys; a verifier that meets an unknown `kid` asks again."""
        return JSONResponse(self._keys.published(), headers=_CACHED)
