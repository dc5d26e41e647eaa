"""What keeps the documents of tenants and tiers apart: conditions for the store, and a check of what it returns."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast

from server.documents.store import Condition
from server.errors import RefusedError

# The labels that decide who finds a document. They come from the verified token, never from a caller's argument.
ISOLATING_KEYS: Final = ("tier", "tenant_id")
# Documents for every tenant of a tier have this in place of a tenant; a tenant id cannot be spelled like this.
SHARED_TENANT: Final = "*"
# The type of the documents with which `doctor` proves the isolation; no search of a caller returns them.
CANARY_TYPE: Final = "tenantgate-canary"
CANARIES: Final = Condition("document_type", (CANARY_TYPE,))

_NO_TIER: Final = (
    "Refused: your account is in no tier that has documents. Other tools are not affected; "
    "ask your administrator to add you to a tier. A retry does not help."
)
_NO_TENANT: Final = (
    "Refused: your account belongs to no tenant, so there are no documents for it; "
    "ask your administrator to assign your account to one. A retry does not help."
)


class Caller(Protocol):
    """Who searches: a TenantContext, which only a verified token leads to."""

    @property
    def tenant(self) -> str | None:
        """The caller's one tenant."""
        ...

    @property
    def tier(self) -> str | None:
        """The caller's one tier."""
        ...

    @property
    def why_no_tier(self) -> str | None:
        """Why the caller's tier is not known, when there is more to say than that there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Isolation:
    """The documents that one tenant and tier may see; `isolate_by` is the setting documents.isolate_by."""

    tier: str
    tenant: str
    isolate_by: Sequence[str]

    @classmethod
    def of(cls, caller: Caller, isolate_by: Sequence[str]) -> "Isolation":
        """Return what `caller` may see; raise RefusedError without a tier or a tenant."""
        if caller.tier is None:
            raise RefusedError(caller.why_no_tier or _NO_TIER)
        if caller.tenant is None:
            raise RefusedError(_NO_TENANT)
        return cls(caller.tier, caller.tenant, isolate_by)

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """What every search asks the store for, whatever else it asks for."""
        tier = Condition("tier", (self.tier,))
        return (tier, Condition("tenant_id", self._tenants)) if "tenant_id" in self.isolate_by else (tier,)

    def admits(self, labels: Any) -> bool:
        """Whether a passage with these labels may be seen.

        The conditions must hold. A label that names another tenant is foreign even where tenants are not part of the
        conditions: somebody meant that document for that tenant alone (R120). So is one of another letter case.
        """
        conditions = [*self.conditions, *(Condition(key, self._tenants) for key in _tenant_keys(labels))]
        return all(condition.holds(labels) for condition in conditions)

    @property
    def _tenants(self) -> tuple[str, ...]:
        return self.tenant, SHARED_TENANT


def _tenant_keys(labels: Any) -> list[str]:
    """Return the labels that name a tenant, however their name is written."""
    names = cast("Mapping[str, Any]", labels) if isinstance(labels, Mapping) else ()
    return [name for name in names if name.strip().casefold() == "tenant_id"]


def isolating_among(names: Iterable[str]) -> str | None:
    """Return the first of `names` that is an isolating key, whatever its letter case, or None."""
    return next((name for name in names if name.strip().casefold() in ISOLATING_KEYS), None)
