"""The protected-resource metadata (RFC 9728) and the challenges that point to it; from settings, never from Host."""

from typing import Any, Final
from urllib.parse import unquote, urlsplit

from server.settings import Settings

WELL_KNOWN: Final = "/.well-known/oauth-protected-resource"


class ResourceMetadata:
    """What a client must know to sign in: this resource, its issuers, its scopes."""

    def __init__(self, settings: Settings, scopes: tuple[str, ...]) -> None:
        """Compute the document and its address once."""
        parts = urlsplit(settings.resource_url)
        # RFC 9728 section 3.1: the well-known part goes between the host and the resource's path.
        self.url: Final = f"{parts.scheme}://{parts.netloc}{WELL_KNOWN}{parts.path.rstrip('/')}"
        # Where clients look that know only the host, and where the resource says.
        self.paths: Final = sorted({WELL_KNOWN, unquote(urlsplit(self.url).path)})
        self.scopes: Final = tuple(
            dict.fromkeys(issuer.names_of(scope)[0] for issuer in settings.issuers for scope in scopes)
        )
        self.document: Final[dict[str, Any]] = {
            "resource": settings.resource_url,
            "authorization_servers": [issuer.issuer for issuer in settings.issuers],
            "scopes_supported": list(self.scopes),
            "bearer_methods_supported": ["header"],
            "resource_name": "tenantgate",
        }

    def document_of(self, asked: str | None) -> dict[str, Any]:
        """Return the document of this resource, or of one tenant's address."""
        resource = self.document["resource"]
        return self.document if asked is None else {**self.document, "resource": f"{resource}/t/{asked}"}

    def challenge(self, error: str | None, scopes: tuple[str, ...], asked: str | None) -> str:
        """Return a WWW-Authenticate value (RFC 6750 section 3, RFC 9728 section 5.1); no error without a token."""
        parts = [f'error="{error}"'] if error else []
        url = self.url if asked is None else f"{self.url}/t/{asked}"
        parts += [f'scope="{" ".join(scopes)}"', f'resource_metadata="{url}"']
        return "Bearer " + ", ".join(parts)
