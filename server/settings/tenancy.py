"""The settings of tenancy."""

from typing import Literal

from server.settings.values import Section, Tier


class TenancySettings(Section):
    """How a verified token leads to a tenant and a tier."""

    # One spelling for each tenant: a UUID in lower case, an integer without leading zeros.
    id_type: Literal["text", "uuid", "integer"] = "text"
    # False: the token's claim alone says which tenant, and every tenant that an issuer names is served.
    registry: bool = True
    tenant_lookup: bool = True
    tiers: tuple[Tier, ...] = ()

    @property
    def looks_up(self) -> bool:
        """Whether people are looked up in the registry, beside what their token claims."""
        return self.registry and self.tenant_lookup
