"""From one verified access token to exactly one tenant and at most one tier, or a refusal with its reason."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from server.auth.access_token import ABSENT, AccessToken, claim_at
from server.errors import TenancyError
from server.settings import IssuerSettings, Settings
from server.tenancy.registry import TenantDirectory

_TENANT: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_ASK: Final = "ask your administrator to assign your account to one"


@dataclass(frozen=True, slots=True)
class TenantContext:
    """Who acts, for which one tenant, with which tier; made from a verified token and nothing else."""

    tenant: str
    tier: str | None
    token: AccessToken


class Tenancy:
    """Resolves access tokens; there is no default tenant, no default tier and no other source."""

    def __init__(self, settings: Settings, directory: TenantDirectory) -> None:
        """Read the claim paths of each issuer and the known tiers from `settings`."""
        self._issuers: Final = {issuer.issuer: issuer for issuer in settings.issuers}
        self._look_up: Final = settings.tenancy.tenant_lookup
        self._tiers: Final = settings.tenancy.tiers
        self._directory: Final = directory

    async def resolve(self, token: AccessToken) -> TenantContext:
        """Return the context of `token`.

        Raises TenancyError when the token leads to none, to several, or to an unknown or inactive tenant, and
        UnavailableError when the directory cannot be asked.
        """
        issuer = self._issuers[token.issuer]
        claimed = _claimed_tenant(token.claims, issuer)
        if claimed is None and not self._look_up:
            raise TenancyError(f"Your access token names no tenant; {_ASK}.")
        entry = await self._directory.find(token.issuer, token.subject, claimed)
        candidates = {*(entry.mapped if self._look_up else ()), *(() if claimed is None else (claimed,))}
        if not candidates:
            raise TenancyError(f"Your account belongs to no tenant; {_ASK}.")
        if len(candidates) > 1:
            raise TenancyError("Your account leads to more than one tenant; ask your administrator to leave one.")
        (tenant,) = candidates
        if tenant not in entry.active:
            raise TenancyError("Your tenant is not active on this server; ask your administrator to activate it.")
        return TenantContext(tenant, self._tier(token.claims, issuer), token)

    def _tier(self, claims: Mapping[str, Any], issuer: IssuerSettings) -> str | None:
        """Return the last known tier that the person is in; the order of the setting decides, not the token's."""
        groups: Any = claim_at(claims, issuer.tier_claim)
        if isinstance(groups, str):
            groups = [groups]
        if not isinstance(groups, list):
            return None
        return next((tier for tier in reversed(self._tiers) if tier in cast("list[Any]", groups)), None)


def _claimed_tenant(claims: Mapping[str, Any], issuer: IssuerSettings) -> str | None:
    """Return the tenant that the claims name; every path that is present must be well formed, and all must agree."""
    found = [value for path in issuer.tenant_claims if (value := claim_at(claims, path)) is not ABSENT]
    for value in found:
        # ASCII, no normalising: two spellings of one tenant would be two ways around a comparison.
        if not isinstance(value, str) or not _TENANT.fullmatch(value):
            raise TenancyError(f"Your access token names a malformed tenant; {_ASK}.")
    if len(set(found)) > 1:
        raise TenancyError("Your access token names more than one tenant; ask your administrator to leave one.")
    return found[0] if found else None
