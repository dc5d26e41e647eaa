"""The protected-resource metadata (RFC 9728) and the challenges that point to it; from settings, never from Host."""

from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from server.settings import Settings

WELL_KNOWN: Final = "/.well-known/oauth-protected-resource"


class ResourceMetadata:
    """What a client must know to sign in: this resource, its issuers, its scopes."""

    def __init__(self, settings: Settings, scopes: tuple[str, ...]) -> None:
        """Compute the document and its address once."""
        parts = urlsplit(settings.resource_url)
        # RFC 9728 section 3.1: the well-known part goes between the host and the resource's path.
        self.url: Final = f"{parts.scheme}://{parts.netloc}{WELL_KNOWN}{parts.path.rstrip('/')}"
        # Where clients look that know only the host, where this server answers, and where the resource says.
        self.paths: Final = sorted({WELL_KNOWN, f"{WELL_KNOWN}/mcp", urlsplit(self.url).path})
        self.scopes: Final = tuple(
            dict.fromkeys(issuer.names_of(scope)[0] for issuer in settings.issuers for scope in scopes)
        )
        self.document: Final = {
            "resource": settings.resource_url,
            "authorization_servers": [issuer.issuer for issuer in settings.issuers],
            "scopes_supported": list(self.scopes),
            "bearer_methods_supported": ["header"],
            "resource_name": "tenantgate",
        }

    async def endpoint(self, _request: Request) -> Response:
        """Answer with the document; public, and the same for everyone."""
        return JSONResponse(
            self.document, headers={"cache-control": "public, max-age=300", "access-control-allow-origin": "*"}
        )

    def challenge(self, error: str | None, scopes: tuple[str, ...]) -> str:
        """Return a WWW-Authenticate value (RFC 6750 section 3, RFC 9728 section 5.1); no error without a token."""
        parts = [f'error="{error}"'] if error else []
        parts += [f'scope="{" ".join(scopes)}"', f'resource_metadata="{self.url}"']
        return "Bearer " + ", ".join(parts)
