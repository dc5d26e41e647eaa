"""What the web page must know to sign a person in, all of it found through the MCP server.

Without a token, the server answers with a challenge that points to its metadata (RFC 9728 section 5.1). The metadata
names the resource, its issuer and its scopes; the issuer's discovery document names the addresses that the page
calls. A wrong address fails here, at the start, and is named in the error.
"""

import re
from dataclasses import asdict, dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2

from client_demo.errors import ServerError

DEVELOPMENT_CLIENT: Final = "tenantgate-web"
_TIMEOUT_SECONDS: Final = 10
_METADATA: Final = re.compile(r'\bresource_metadata="([^"]+)"')
# The endpoints that oidc-client-ts calls; the authorization endpoint is navigated to, which needs no permission.
_CALLED_ENDPOINTS: Final = ("token_endpoint", "revocation_endpoint", "userinfo_endpoint", "jwks_uri")


@dataclass(frozen=True, slots=True)
class SamplePerson:
    """Someone who signs in at the development issuer, with what the server will say of them."""

    name: str
    tenant: str
    tier: str


# The two whose answers differ in everything; tests/test_web_server.py asks the server whether this is true.
SIDE_BY_SIDE: Final = (
    SamplePerson("mike-broker-a", "broker-a", "regular"),
    SamplePerson("emma-broker-b", "broker-b", "platinum"),
)


@dataclass(frozen=True, slots=True)
class WebSettings:
    """The page's configuration, and the origins that it may connect to.

    With `development`, people sign in without a form, and each may look behind their own calls.
    """

    issuer: str
    client_id: str
    resource: str
    scopes: tuple[str, ...]
    origins: tuple[str, ...]
    development: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return `config.json`; it holds no secret, because a browser cannot keep one (RFC 8252 section 8.5)."""
        return {
            "issuer": self.issuer,
            "client_id": self.client_id,
            "resource": self.resource,
            "scopes": list(self.scopes),
            "agent_url": "/invocations",
        } | ({"development": self._development()} if self.development else {})

    def _development(self) -> dict[str, Any]:
        people = [asdict(person) for person in SIDE_BY_SIDE]
        return {"people": people, "calls_url": f"{self.issuer}/development/calls"}


def discover(mcp_url: str, client_id: str, *, development: bool = False) -> WebSettings:
    """Return the settings for the MCP server at `mcp_url`; raise ServerError with the address that failed."""
    with httpx2.Client(timeout=_TIMEOUT_SECONDS, follow_redirects=False) as http:
        resource = _document(http, _metadata_address(http, mcp_url))
        try:
            issuer = str(resource["authorization_servers"][0])
            scopes = tuple(map(str, resource.get("scopes_supported", ())))
            name = str(resource["resource"])
        except (LookupError, TypeError):
            raise ServerError(
                f"{mcp_url} has no authorization server in its protected-resource metadata; set issuers there."
            ) from None
        provider = _document(http, f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    called = [issuer, *(str(provider[endpoint]) for endpoint in _CALLED_ENDPOINTS if endpoint in provider)]
    origins = tuple(dict.fromkeys(map(_origin, called)))
    return WebSettings(issuer, client_id, name, ("openid", *scopes), origins, development)


def _metadata_address(http: httpx2.Client, mcp_url: str) -> str:
    try:
        challenge = http.post(mcp_url, json={}).headers.get("www-authenticate", "")
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise ServerError(f"{mcp_url} cannot be reached: {error}; start the server, or correct the address.") from None
    found = _METADATA.search(challenge)
    if found is None:
        raise ServerError(f"{mcp_url} does not say where to sign in; check that it is the address of an MCP server.")
    return found[1]


def _document(http: httpx2.Client, address: str) -> dict[str, Any]:
    try:
        return http.get(address).raise_for_status().json()
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
        raise ServerError(f"{address} does not answer with a JSON document: {error}; check the address.") from None


def _origin(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"
