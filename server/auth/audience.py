"""The addresses of this server at which a token is valid (RFC 8707, RFC 9068 section 4)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from server.auth.addresses import TenantAddresses
from server.errors import TokenRefusedError
from server.settings import IssuerSettings


@dataclass(frozen=True, slots=True)
class Audience:
    """All addresses of this server, or those of some tenants."""

    everywhere: bool
    tenants: frozenset[str]

    def admits(self, tenant: str | None) -> bool:
        """Whether the token is valid at a tenant's address; None is the address for all."""
        return self.everywhere or tenant in self.tenants


EVERYWHERE: Final = Audience(everywhere=True, tenants=frozenset())


def audience_of(
    claims: Mapping[str, Any], issuer: IssuerSettings, resource_url: str, addresses: TenantAddresses
) -> Audience:
    """Require that the token was made for this server, alone or among others; else raise TokenRefusedError."""
    if "aud" not in claims:
        # Cognito's access tokens have no audience; the client that they were issued to takes its place.
        if claims.get("client_id") not in issuer.client_ids:
            raise TokenRefusedError("no aud, and client_id is not accepted")
        return EVERYWHERE
    audience: Any = claims["aud"]
    audiences = cast("list[Any]", audience) if isinstance(audience, list) else [audience]
    if not all(isinstance(one, str) for one in audiences):
        raise TokenRefusedError("aud is malformed")
    of_tenants = {one: tenant for one in audiences if (tenant := addresses.tenant_of(one)) is not None}
    # A tenant's address is never valid for another tenant, even where the settings list it among `audiences`.
    everywhere = bool(({resource_url, *issuer.audiences} & set(audiences)) - of_tenants.keys())
    if not everywhere and not of_tenants:
        raise TokenRefusedError("aud names another server")
    return EVERYWHERE if everywhere else Audience(everywhere, frozenset(of_tenants.values()))
