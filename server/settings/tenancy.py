"""The settings of tenancy."""

from typing import Literal

from server.settings.values import Section, Tier


class TenancySettings(Section):
    """How the tenant and the tier are read from a verified token."""

    # Gives each tenant one spelling: a UUID in lower case, an integer without leading zeros.
    id_type: Literal["text", "uuid", "integer"] = "text"
    # False: only the token's claim says which tenant, and every tenant that an issuer names is served.
    registry: bool = True
    tenant_lookup: bool = True
    tiers: tuple[Tier, ...] = ()

    @property
    def looks_up(self) -> bool:
        """Whether people are looked up in the registry, in addition to their token's claims."""
        return self.registry and self.tenant_lookup
