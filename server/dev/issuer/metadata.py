"""The development issuer's metadata document."""

from collections.abc import Sequence
from typing import Any

from mcp.server.auth.routes import build_metadata
from mcp.server.auth.settings import ClientRegistrationOptions, RevocationOptions
from pydantic import AnyHttpUrl


def issuer_metadata(url: str, scopes: Sequence[str]) -> dict[str, Any]:
    """Return one document for both RFC 8414 section 2 and OpenID Connect Discovery 1.0 section 3."""
    registration = ClientRegistrationOptions(enabled=True, valid_scopes=list(scopes))
    document = build_metadata(AnyHttpUrl(url), None, registration, RevocationOptions(enabled=True))
    secrets = ["none", "client_secret_post", "client_secret_basic"]
    return {
        **document.model_dump(mode="json", exclude_none=True),
        # Without the slash that AnyHttpUrl adds: issuers are compared exactly.
        "issuer": url,
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
        # Discovery 1.0 section 3: the default is true.
        "request_uri_parameter_supported": False,
    }
