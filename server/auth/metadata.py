"""The protected-resource metadata (RFC 9728) and the challenges that point to it; from settings, never from Host."""

from typing import Any, Final
from urllib.parse import unquote, urlsplit

from server.auth.addresses import TenantAddresses
from server.auth.proofs import ALGORITHMS
from server.auth.scopes import requestable_scopes
from server.errors import ProofRefusedError
from server.settings import Settings

WELL_KNOWN: Final = "/.well-known/oauth-protected-resource"


class ResourceMetadata:
    """What a client must know to sign in: this resource, its issuers and its scopes.

    Every tenant's address is a resource with its own document. `asked` is the last part of the address that was
    called, as the caller wrote it; None, and text that cannot be a tenant id, mean the server's own address. The
    documents are public: they do not depend on whether a tenant exists.
    """

    def __init__(self, settings: Settings, scopes: tuple[str, ...]) -> None:
        """Compute the document and its address once; `scopes` are those that the tools require."""
        parts = urlsplit(settings.resource_url)
        self._addresses: Final = TenantAddresses(settings)
        # RFC 9728 section 3.1: the well-known part goes between the host and the resource's path.
        self.url: Final = f"{parts.scheme}://{parts.netloc}{WELL_KNOWN}{parts.path.rstrip('/')}"
        # Clients that know only the host look at the first path; the other is the resource's own.
        self.paths: Final = sorted({WELL_KNOWN, unquote(urlsplit(self.url).path)})
        self.scopes: Final = requestable_scopes(settings, scopes)
        modes = {issuer.dpop for issuer in settings.issuers}
        self._takes_bearer: Final = modes != {"required"}
        self._takes_dpop: Final = bool(modes - {"off"})
        self.document: Final[dict[str, Any]] = {
            "resource": settings.resource_url,
            "authorization_servers": [issuer.issuer for issuer in settings.issuers],
            **({"scopes_supported": list(self.scopes)} if self.scopes else {}),
            "bearer_methods_supported": ["header"],
            **_dpop(settings),
            "resource_name": "tenantgate",
        }

    def document_of(self, asked: str | None) -> dict[str, Any]:
        """Return the document of the address that was called."""
        if asked is None or self._addresses.tenant(asked) is None:
            return self.document
        # RFC 9728 section 3.3: the client compares it with the address it called, so the spelling stays the caller's.
        return {**self.document, "resource": self._addresses.of(asked)}

    def url_of(self, asked: str | None) -> str:
        """Return where the document of the address that was called is published."""
        known = asked is not None and self._addresses.tenant(asked) is not None
        return f"{self.url}/t/{asked}" if known else self.url

    def challenge(self, error: str | None, scopes: tuple[str, ...], asked: str | None = None) -> str:
        """Return a WWW-Authenticate value (RFC 6750 section 3, RFC 9728 section 5.1); without a token, `error` is None.

        It has a challenge for each scheme that the issuers' settings allow (RFC 9449 section 7.1), Bearer first.
        """
        parts = [f'error="{error}"'] if error else []
        parts += [f'scope="{" ".join(scopes)}"'] if scopes else []
        parameters = ", ".join([*parts, f'resource_metadata="{self.url_of(asked)}"'])
        bearer = [f"Bearer {parameters}"] if self._takes_bearer and error != ProofRefusedError.code else []
        dpop = [f'DPoP {parameters}, algs="{" ".join(ALGORITHMS)}"'] if self._takes_dpop else []
        return ", ".join(bearer + dpop)


def _dpop(settings: Settings) -> dict[str, Any]:
    """Return the document's fields about DPoP (RFC 9728 section 2)."""
    modes = {issuer.dpop for issuer in settings.issuers}
    if modes <= {"off"}:
        return {}
    demanded = {"dpop_bound_access_tokens_required": True} if modes == {"required"} else {}
    return {"dpop_signing_alg_values_supported": list(ALGORITHMS), **demanded}
