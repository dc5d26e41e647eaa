"""The settings of tenancy."""

from typing import Literal

from server.settings.values import Section, Tier


class TenancySettings(Section):
    """How the tenant and the tier are read from a verified token."""

    # Gives each tenant one spelling: a UUID in lower case, an integer without leading zeros.
    id_type: Literal["text", "uuid", "integer"] = "text"
    """gives each tenant [one spelling](identity.md#tenant-ids); must fit the declared tenant columns"""
    # False: only the token's claim says which tenant, and every tenant that an issuer names is served.
    registry: bool = True
    """`false`: only the token's claim decides, and nothing is looked up"""
    tenant_lookup: bool = True
    """also look up (issuer, sub) in `tenancy.user_tenants`; if token and registry both name tenants, a person has
    those in both"""
    tiers: tuple[Tier, ...] = ()
    """the known tiers, lowest first; a person with several has the last one. Without tiers: no documents"""

    @property
    def looks_up(self) -> bool:
        """Whether people are looked up in the registry, in addition to their token's claims."""
        return self.registry and self.tenant_lookup
