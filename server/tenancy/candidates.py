"""The tenants of a person: those that their token claims, and those that the registry gives them."""

import math
from dataclasses import dataclass
from typing import Final

from server.auth.access_token import AccessToken
from server.errors import TenancyError
from server.settings import TenancySettings
from server.tenancy.registry import DirectoryEntry, TenantDirectory

# How many tenants of one token are looked up when the request names none.
_EXAMINED: Final = 40
Claimed = frozenset[str] | None


@dataclass(frozen=True, slots=True)
class OwnTenants:
    """The tenants of one person: how many, how many are active, and those that were looked up, ordered by id.

    At `until_s`, on the monotonic clock, the first of the directory's answers expires.
    """

    count: int
    active_count: int
    known: tuple[str, ...]
    active: tuple[str, ...]
    until_s: float = math.inf

    @property
    def only(self) -> str | None:
        """The tenant of a person who has exactly one, active or not."""
        return self.known[0] if self.count == len(self.known) == 1 else None


class Candidates:
    """Asks the directory; `claimed` is what the token claims, None when it has no such claim.

    With a claim and no mapping, a person has the claimed tenants; with mappings and no claim, the mapped ones; with
    both, only the tenants that are in both.
    """

    def __init__(self, settings: TenancySettings, directory: TenantDirectory) -> None:
        """Ask `directory`, unless the settings say that there is no registry."""
        self._settings: Final = settings
        self._directory: Final = directory

    async def own(self, token: AccessToken, claimed: Claimed) -> OwnTenants:
        """Return the tenants of a person.

        Raises TenancyError when the token and the registry agree on none, and UnavailableError as the directory does.
        """
        if claimed is not None:
            return await self._confirmed(token, claimed)
        if not self._settings.looks_up:
            return OwnTenants(0, 0, (), ())
        entry = await self._directory.find(token.issuer, token.subject, None, claimed=False)
        known = tuple(sorted(entry.mapped))
        active = tuple(sorted(entry.mapped & entry.active))
        return OwnTenants(entry.mappings, entry.active_mappings, known, active, entry.until_s)

    async def why_not(self, token: AccessToken, claimed: Claimed, tenant: str) -> str | None:
        """Return why `tenant` is not one of the person's active tenants, for the log; None when it is."""
        if claimed is not None and tenant not in claimed:
            return "the address names a tenant that the token does not"
        if claimed is None and not self._settings.looks_up:
            return "the token names no tenant"
        entry = await (self._mapping(token, tenant) if claimed is None else self._claimed(token, tenant))
        if not self._confirms(entry, tenant, is_claimed=claimed is not None):
            return "the address names a tenant that the person is not mapped to"
        return None if tenant in entry.active else "the tenant is unknown or not active"

    async def _confirmed(self, token: AccessToken, claimed: frozenset[str]) -> OwnTenants:
        """Return those of the claimed tenants that the registry confirms."""
        examined = sorted(claimed)[:_EXAMINED]
        entries = {tenant: await self._claimed(token, tenant) for tenant in examined}
        known = tuple(tenant for tenant, entry in entries.items() if self._confirms(entry, tenant, is_claimed=True))
        active = tuple(tenant for tenant in known if tenant in entries[tenant].active)
        unexamined = len(claimed) - len(examined)
        if claimed and not known and not unexamined:
            raise TenancyError(
                "Your access token and this server's registry give you different tenants; "
                "ask your administrator to make them agree.",
                reason="the registry does not map the person to the tenant in the token",
                tenant=", ".join(examined),
            )
        until_s = min((entry.until_s for entry in entries.values()), default=math.inf)
        return OwnTenants(len(known) + unexamined, len(active) + unexamined, known, active, until_s)

    async def _claimed(self, token: AccessToken, tenant: str) -> DirectoryEntry:
        """Return the registry's entry about a claimed tenant; without a registry, the token alone decides."""
        if not self._settings.registry:
            return DirectoryEntry(0, 0, frozenset(), frozenset({tenant}))
        return await self._directory.find(token.issuer, token.subject, tenant, claimed=True)

    async def _mapping(self, token: AccessToken, tenant: str) -> DirectoryEntry:
        """Return the entry of a person; one look-up serves all addresses, so trying many of them causes no work."""
        entry = await self._directory.find(token.issuer, token.subject, None, claimed=False)
        if entry.is_complete or tenant in entry.mapped:
            return entry
        return await self._directory.find(token.issuer, token.subject, tenant, claimed=False)

    def _confirms(self, entry: DirectoryEntry, tenant: str, *, is_claimed: bool) -> bool:
        """Whether the tenant is in every source that has tenants of the person: the token and the registry."""
        if is_claimed and (not self._settings.looks_up or entry.mappings == 0):
            return True
        return tenant in entry.mapped
