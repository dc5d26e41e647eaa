"""The addresses of this resource: one for everybody, and one for each tenant of a person who has several."""

from typing import Final

from server.settings import Settings
from server.tenant_id import canonical_tenant


class TenantAddresses:
    """`<resource_url>/t/<tenant>`, from settings, never from Host; `asked` is its last part as the caller wrote it."""

    def __init__(self, settings: Settings) -> None:
        """Read the address of the resource and the type of tenant ids."""
        self._prefix: Final = f"{settings.resource_url.rstrip('/')}/t/"
        self._id_type: Final = settings.tenancy.id_type

    def of(self, tenant: str) -> str:
        """Return the address of one tenant; no character of a tenant id needs an escape in a path (RFC 3986)."""
        return self._prefix + tenant

    def tenant(self, asked: str) -> str | None:
        """Return the tenant that `asked` spells, or None when it cannot be a tenant id."""
        return canonical_tenant(asked, self._id_type)

    def tenant_of(self, url: str) -> str | None:
        """Return the tenant whose address `url` is, or None for every other URL."""
        return self.tenant(url.removeprefix(self._prefix)) if url.startswith(self._prefix) else None
