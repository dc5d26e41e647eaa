"""Resolve a verified access token to exactly one tenant and at most one tier, or refuse with the reason."""

import asyncio
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import structlog

from server.auth.access_token import AccessToken, claim_at, is_left_out
from server.auth.addresses import TenantAddresses
from server.errors import TenancyError, ToolError
from server.settings import IssuerSettings, Settings
from server.tenancy.candidates import Candidates, Claimed, OwnTenants
from server.tenancy.claims import LEFT_OUT, claimed_tenants
from server.tenancy.registry import TenantDirectory
from server.tenant_id import canonical_tenant

# How many addresses one refusal lists.
_LISTED: Final = 20
_ASKED_CHARACTERS: Final = 128
_CHARGED_WITHIN_S: Final = 0.1
# How many tokens at most are remembered with what they led to.
_KEPT: Final = 512
_ASK: Final = "ask your administrator to assign your account to one"
_log: Final = structlog.get_logger("tenancy")


@dataclass(frozen=True, slots=True)
class TenantContext:
    """The person, their one tenant and their tier; made only from a verified token.

    `tenant` is None only where no tenant is needed, for a person who has none, or has several and named none of them.
    `why_no_tier` explains why a person's tier cannot be known.
    """

    tenant: str | None
    tier: str | None
    token: AccessToken
    why_no_tier: str | None = None


class Tenancy:
    """Resolves access tokens; there is no default tenant, no default tier and no other source."""

    def __init__(self, settings: Settings, directory: TenantDirectory) -> None:
        """Read the claim paths of each issuer and the known tiers from `settings`."""
        self._issuers: Final = {issuer.issuer: issuer for issuer in settings.issuers}
        self._id_type: Final = settings.tenancy.id_type
        self._looks_up: Final = settings.tenancy.looks_up
        self._tiers: Final = settings.tenancy.tiers
        self._addresses: Final = TenantAddresses(settings)
        self._candidates: Final = Candidates(settings.tenancy, directory)
        # By the identity of a verified token, which each one holds: it is another object once it is verified again.
        self._kept: Final = dict[int, tuple[float, TenantContext]]()

    async def resolve(self, token: AccessToken, asked: str | None, *, required: bool = True) -> TenantContext:
        """Return the context of `token`; `asked` is the last part of a tenant's address, or None.

        Without `required`, a person who has no tenant, or has several and named none of them, gets the tenant None.
        Raises TenancyError for any other caller without exactly one known, active tenant, and UnavailableError when the
        directory cannot be asked.
        """
        if asked is None and (kept := self._remembered(token)) is not None:
            return kept
        issuer = self._issuers[token.issuer]
        try:
            tenant, until_s = await self._tenant(token, issuer, asked, required=required)
            why_no_tier = LEFT_OUT if is_left_out(token.claims, issuer.tier_claim) else None
            context = TenantContext(tenant, self._tier(token.claims, issuer), token, why_no_tier)
        except TenancyError as error:
            details = {"tenant": error.tenant, "claim": error.claim}
            named = {name: value for name, value in details.items() if value is not None}
            _log.warning("tenant refused", reason=error.reason, issuer=token.issuer, subject=token.subject, **named)
            raise
        if asked is None and tenant is not None:
            self._remember(context, until_s)
        return context

    async def charged(self, token: AccessToken, asked: str | None) -> str | None:
        """Return the tenant whose budget a request without a tool counts against; None where it is not known at once.

        Such a request reads nothing of a tenant, so it is answered without waiting for the directory.
        """
        try:
            async with asyncio.timeout(_CHARGED_WITHIN_S):
                return (await self._tenant(token, self._issuers[token.issuer], asked, required=False))[0]
        except (TenancyError, ToolError, TimeoutError):
            return None

    def _remembered(self, token: AccessToken) -> TenantContext | None:
        """Return what this very token led to, while every answer of the directory that led there is believed."""
        until_s, context = self._kept.get(id(token), (0.0, None))
        return context if context is not None and context.token is token and until_s > time.monotonic() else None

    def _remember(self, context: TenantContext, until_s: float) -> None:
        key = id(context.token)
        self._kept.pop(key, None)
        self._kept[key] = (until_s, context)
        if len(self._kept) > _KEPT:
            del self._kept[next(iter(self._kept))]

    async def _tenant(
        self, token: AccessToken, issuer: IssuerSettings, asked: str | None, *, required: bool
    ) -> tuple[str | None, float]:
        """Return the tenant, and until when (of the monotonic clock) the directory need not be asked again."""
        claimed = claimed_tenants(token.claims, issuer.tenant_claims, self._id_type)
        if asked is not None:
            return await self._asked_for(token, claimed, asked), -math.inf
        own = await self._candidates.own(token, claimed)
        if own.only is not None:
            return self._active(own, own.only), own.until_s
        if not required:
            return None, -math.inf
        raise self._several(own) if own.count else self._none(claimed)

    async def _asked_for(self, token: AccessToken, claimed: Claimed, asked: str) -> str:
        """Return the tenant whose address was called, or refuse with the same words for every reason."""
        tenant = self._addresses.tenant(asked)
        why_not = f"the address names no tenant id of the type {self._id_type}"
        if tenant is not None:
            why_not = await self._candidates.why_not(token, claimed, tenant)
        if tenant is None or why_not is not None:
            raise TenancyError(
                "This address does not belong to one of your tenants; correct it, or ask your administrator.",
                reason=why_not or "",
                tenant=tenant or asked[:_ASKED_CHARACTERS],
            )
        return tenant

    def _active(self, own: OwnTenants, tenant: str) -> str:
        """Return a person's only tenant when it is active."""
        reason = "the tenant is unknown or not active"
        if canonical_tenant(tenant, self._id_type) != tenant:
            # Only the registry can hold one: with two spellings of one tenant, a comparison could be bypassed.
            reason = f"the registry's spelling of the tenant is not the canonical one of the type {self._id_type}"
        elif tenant in own.active:
            return tenant
        message = "Your tenant is not active on this server; ask your administrator to activate it."
        raise TenancyError(message, reason=reason, tenant=tenant)

    def _several(self, own: OwnTenants) -> TenancyError:
        """Return the refusal that lists the addresses of the person's own active tenants."""
        reason = f"the person has {own.count} tenants and asked for none of them"
        ids = [one for one in own.active if canonical_tenant(one, self._id_type) == one][:_LISTED]
        if not ids:
            message = "None of your tenants is active on this server; ask your administrator to activate one."
            return TenancyError(message, reason=f"{reason}; none is active", tenant=", ".join(own.known[:_LISTED]))
        more = own.active_count - len(ids)
        listed = ", ".join(map(self._addresses.of, ids)) + (f" and {more} more" if more else "")
        message = f"You have several tenants; connect to the address of one of them: {listed}."
        return TenancyError(message, reason=reason, tenant=", ".join(ids))

    def _none(self, claimed: Claimed) -> TenancyError:
        if claimed is None and not self._looks_up:
            return TenancyError(f"Your access token names no tenant; {_ASK}.", reason="the token names no tenant")
        return TenancyError(f"Your account belongs to no tenant; {_ASK}.", reason="the person has no tenant")

    def _tier(self, claims: Mapping[str, Any], issuer: IssuerSettings) -> str | None:
        """Return the last known tier that the person is in, in the order of the setting, not the token's."""
        groups: Any = claim_at(claims, issuer.tier_claim)
        if isinstance(groups, str):
            groups = [groups]
        if not isinstance(groups, list):
            return None
        return next((tier for tier in reversed(self._tiers) if tier in cast("list[Any]", groups)), None)
