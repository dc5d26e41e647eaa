"""The clients of the development issuer: two fixed ones, those that register, and those that publish a document."""

import math
from typing import Final
from urllib.parse import urlsplit

from mcp.server.auth.provider import RegistrationError
from mcp.shared.auth import InvalidRedirectUriError, OAuthClientInformationFull
from pydantic import AnyUrl

from server.dev.issuer.documents import ClientDocuments
from server.dev.issuer.loopback import LOOPBACK_HOSTS
from server.dev.issuer.store import ExpiringStore

WEB_CLIENT: Final = "tenantgate-web"
MACHINE_CLIENT: Final = "nightly-report"
# Public on purpose: it opens sample data on this machine, and nothing else.
MACHINE_CLIENT_SECRET: Final = "nightly-report-secret"  # noqa: S105 - a documented constant of the demonstration
CLIENTS_REMEMBERED: Final = 1000

_INTERACTIVE_GRANTS: Final = ("authorization_code", "refresh_token")
# Desktop applications that sign in through a scheme of their own; the rest follow RFC 8252 section 7.1.
_DESKTOP_SCHEMES: Final = frozenset(
    {"claude", "cursor", "kiro", "vscode", "vscode-insiders", "vscodium", "windsurf", "zed"}
)


class DevelopmentClient(OAuthClientInformationFull):
    """A client whose loopback redirect URIs match on any port (RFC 8252 section 7.3)."""

    any_loopback_redirect: bool = False

    def validate_redirect_uri(self, redirect_uri: AnyUrl | None) -> AnyUrl:
        """Return the redirect URI to use; InvalidRedirectUriError when it is none of this client's."""
        if redirect_uri is None:
            return super().validate_redirect_uri(None)
        if self.any_loopback_redirect and _is_loopback(redirect_uri) and redirect_uri.scheme == "http":
            return redirect_uri
        if any(_same_redirect(redirect_uri, known) for known in self.redirect_uris or ()):
            return redirect_uri
        raise InvalidRedirectUriError(f"Redirect URI '{redirect_uri}' is not registered for this client.")


class Clients:
    """Find and register clients; in memory, at most CLIENTS_REMEMBERED, the oldest forgotten first."""

    def __init__(self, scopes: tuple[str, ...]) -> None:
        """Know the fixed clients; `scopes` is all that any client may ask for."""
        self._scope = " ".join(scopes)
        self._fixed = {client.client_id: client for client in (self._web(), self._machine())}
        self._registered: ExpiringStore[DevelopmentClient] = ExpiringStore(
            lifetime_s=math.inf, capacity=CLIENTS_REMEMBERED
        )
        self._documents = ClientDocuments()

    async def find(self, client_id: str) -> DevelopmentClient | None:
        """Return the client, fetching its metadata document when the identifier is an address, or None."""
        known = self._fixed.get(client_id) or self._registered.get(client_id)
        if known is not None or "://" not in client_id:
            return known
        document = await self._documents.fetch(client_id)
        if document is None or not all(map(is_acceptable_redirect, document.redirect_uris)):
            return None
        return DevelopmentClient(
            client_id=client_id,
            client_name=document.client_name,
            redirect_uris=document.redirect_uris,
            token_endpoint_auth_method="none",  # noqa: S106 - a method, not a secret
            scope=self._scope,
        )

    def register(self, client: OAuthClientInformationFull) -> None:
        """Remember a client that registered itself, public or with a secret (RFC 7591 section 3)."""
        for uri in client.redirect_uris or ():
            if not is_acceptable_redirect(uri):
                raise RegistrationError(
                    "invalid_redirect_uri",
                    f"Redirect URI '{uri}' is refused; use http on a loopback address, https, or a desktop scheme.",
                )
        # The answer shows what was registered (RFC 7591 section 3.2.1): every scope, so that a client may ask for
        # more later, and no grant that works without a person.
        client.scope = self._scope
        client.grant_types = [grant for grant in client.grant_types if grant in _INTERACTIVE_GRANTS]
        self._registered.put(client.client_id, DevelopmentClient.model_validate(client.model_dump()))

    def _web(self) -> DevelopmentClient:
        return DevelopmentClient(
            client_id=WEB_CLIENT,
            client_name="tenantgate web demo",
            token_endpoint_auth_method="none",  # noqa: S106 - a method, not a secret
            any_loopback_redirect=True,
            scope=self._scope,
        )

    def _machine(self) -> DevelopmentClient:
        return DevelopmentClient(
            client_id=MACHINE_CLIENT,
            client_name="Nightly report",
            client_secret=MACHINE_CLIENT_SECRET,
            token_endpoint_auth_method="client_secret_post",  # noqa: S106 - a method, not a secret
            grant_types=["client_credentials"],
            scope=self._scope,
        )


def is_acceptable_redirect(uri: AnyUrl) -> bool:
    """Say whether codes may go there: http on loopback, https, or a desktop scheme; no fragment, no credentials."""
    if uri.fragment is not None or uri.username is not None or uri.password is not None:
        return False
    if uri.scheme == "http":
        return _is_loopback(uri)
    return uri.scheme == "https" or uri.scheme in _DESKTOP_SCHEMES or "." in uri.scheme


def _is_loopback(uri: AnyUrl) -> bool:
    return (uri.host or "").strip("[]") in LOOPBACK_HOSTS and uri.username is None and uri.fragment is None


def _same_redirect(asked: AnyUrl, known: AnyUrl) -> bool:
    if str(asked) == str(known):
        return True
    ours, theirs = urlsplit(str(known)), urlsplit(str(asked))
    same = (ours.scheme, ours.hostname, ours.path or "/", ours.query) == (
        theirs.scheme,
        theirs.hostname,
        theirs.path or "/",
        theirs.query,
    )
    return same and (ours.port == theirs.port or (asked.scheme == "http" and _is_loopback(asked)))
