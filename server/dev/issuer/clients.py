"""The development issuer's clients: two fixed ones, registered ones, and those with a metadata document."""

import math
from typing import Final

from mcp.server.auth.provider import RegistrationError
from mcp.shared.auth import InvalidRedirectUriError, OAuthClientInformationFull
from pydantic import AnyUrl

from server.dev.issuer.documents import described_client
from server.dev.issuer.loopback import is_loopback_url
from server.dev.issuer.store import ExpiringStore

# The second client's secret is public on purpose: it gives access to sample data on this machine only.
_FIXED: Final = (
    {"client_id": "tenantgate-web", "token_endpoint_auth_method": "none", "any_loopback_redirect": True},
    {
        "client_id": "nightly-report",
        "client_secret": "nightly-report-secret",
        "token_endpoint_auth_method": "client_secret_post",
        "grant_types": ["client_credentials"],
    },
)
_GRANTS_WITH_A_PERSON: Final = frozenset({"authorization_code", "refresh_token"})
# Desktop applications with their own URI scheme; all others follow RFC 8252 section 7.1.
_DESKTOP_SCHEMES: Final = frozenset(
    {"claude", "cursor", "kiro", "vscode", "vscode-insiders", "vscodium", "windsurf", "zed"}
)


class DevelopmentClient(OAuthClientInformationFull):
    """A client whose loopback redirect URIs match on any port (RFC 8252 section 7.3)."""

    any_loopback_redirect: bool = False

    def validate_redirect_uri(self, redirect_uri: AnyUrl | None) -> AnyUrl:
        """Return the redirect URI to use; InvalidRedirectUriError when it is not this client's."""
        if redirect_uri is None:
            return super().validate_redirect_uri(None)
        if self.any_loopback_redirect and redirect_uri.scheme == "http" and _is_acceptable(redirect_uri):
            return redirect_uri
        if _compared(redirect_uri) in map(_compared, self.redirect_uris or ()):
            return redirect_uri
        raise InvalidRedirectUriError(f"Redirect URI '{redirect_uri}' is not registered for this client.")


class Clients:
    """Find and register clients; in memory, a limited number, the oldest forgotten first."""

    def __init__(self, scopes: tuple[str, ...]) -> None:
        """Add the fixed clients; `scopes` are all that any client may request."""
        self._scope = " ".join(scopes)
        fixed = [DevelopmentClient.model_validate({**members, "scope": self._scope}) for members in _FIXED]
        self._fixed = {client.client_id: client for client in fixed}
        self._registered: ExpiringStore[DevelopmentClient] = ExpiringStore(lifetime_s=math.inf)

    async def find(self, client_id: str) -> DevelopmentClient | None:
        """Return the client, or None; fetch its metadata document when the identifier is an address."""
        known = self._fixed.get(client_id) or self._registered.get(client_id)
        if known is not None or "://" not in client_id:
            return known
        described = await described_client(client_id)
        try:
            return None if described is None else self._admitted(described)
        except RegistrationError:
            return None

    def register(self, client: OAuthClientInformationFull) -> None:
        """Remember a client that registered itself, public or with a secret (RFC 7591 section 3)."""
        self._registered.put(client.client_id, self._admitted(client))

    def _admitted(self, client: OAuthClientInformationFull) -> DevelopmentClient:
        """Return a client that described itself, with the rights of every such client; or raise RegistrationError."""
        for uri in client.redirect_uris or ():
            if not _is_acceptable(uri):
                description = f"'{uri}' is refused; use http on a loopback address, https, or a desktop scheme."
                raise RegistrationError("invalid_redirect_uri", description)
        # The answer shows what was registered (RFC 7591 section 3.2.1): every scope, so that a client may request more
        # later, and only grants that need a person.
        client.scope = self._scope
        client.grant_types = [grant for grant in client.grant_types if grant in _GRANTS_WITH_A_PERSON]
        return DevelopmentClient.model_validate(client.model_dump())


def _is_acceptable(uri: AnyUrl) -> bool:
    """Return whether codes may go there: http on loopback, https, or a desktop scheme; no fragment, no credentials."""
    if uri.fragment is not None or uri.username is not None or uri.password is not None:
        return False
    if uri.scheme == "http":
        return is_loopback_url(uri)
    return uri.scheme == "https" or uri.scheme in _DESKTOP_SCHEMES or "." in uri.scheme


def _compared(uri: AnyUrl) -> tuple[object, ...]:
    """Return the parts of a redirect URI that must be equal: all, except the port on loopback."""
    port = None if uri.scheme == "http" and is_loopback_url(uri) else uri.port
    return (uri.scheme, uri.username, uri.password, uri.host, port, uri.path or "/", uri.query, uri.fragment)
