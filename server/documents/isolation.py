"""The isolation of tenants and tiers in documents: conditions for the store, and a check of what it returns."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast

from server.documents.store import Condition
from server.errors import RefusedError

# The labels that decide who may find a document. Their values come from the verified token, never from an argument.
ISOLATING_KEYS: Final = ("tier", "tenant_id")
# The tenant label of documents for every tenant of a tier; no tenant id can have this value.
SHARED_TENANT: Final = "*"
# The document type with which `doctor` proves the isolation; searches of callers never return it.
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
    """The person who searches: a TenantContext, which is made only from a verified token."""

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
        """Why the caller's tier is not known, when there is a reason other than that the caller has none."""
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
        """The conditions of every search, in addition to its own."""
        tier = Condition("tier", (self.tier,))
        return (tier, Condition("tenant_id", self._tenants)) if "tenant_id" in self.isolate_by else (tier,)

    def admits(self, labels: Any) -> bool:
        """Whether a passage with these labels may be seen.

        The conditions must hold. A label that names another tenant is refused even when tenants are not in the
        conditions: that document is meant for that tenant only (R120). So is a label name in another letter case.
        """
        conditions = [*self.conditions, *(Condition(key, self._tenants) for key in _tenant_keys(labels))]
        return all(condition.holds(labels) for condition in conditions)

    @property
    def _tenants(self) -> tuple[str, ...]:
        return self.tenant, SHARED_TENANT


def _tenant_keys(labels: Any) -> list[str]:
    """Return the labels that name a tenant, in any spelling of the label's name."""
    names = cast("Mapping[str, Any]", labels) if isinstance(labels, Mapping) else ()
    return [name for name in names if name.strip().casefold() == "tenant_id"]


def isolating_among(names: Iterable[str]) -> str | None:
    """Return the first of `names` that is an isolating key, whatever its letter case, or None."""
    return next((name for name in names if name.strip().casefold() in ISOLATING_KEYS), None)
