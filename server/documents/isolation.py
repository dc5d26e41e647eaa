"""The conditions that keep the documents of tenants and tiers apart: as a filter for the store, as a check of ours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from server.errors import RefusedError
from server.tenancy.context import TenantContext

# Documents for every tenant of a tier carry this in place of a tenant; no tenant id can be spelled so.
SHARED_TENANT: Final = "*"
_NO_TIER: Final = (
    "Refused: your account is in no tier that has policy documents. Claims are not affected; "
    "ask your administrator to add you to a tier. A retry does not help."
)


@dataclass(frozen=True, slots=True)
class Condition:
    """One metadata attribute and the texts it may have; positive only, for a negation also lets unlabelled ones in."""

    key: str
    allowed: tuple[str, ...]

    def as_filter(self) -> dict[str, Any]:
        """Return the condition as one operator of Bedrock's RetrievalFilter."""
        if len(self.allowed) == 1:
            return {"equals": {"key": self.key, "value": self.allowed[0]}}
        return {"in": {"key": self.key, "value": list(self.allowed)}}

    def holds(self, metadata: Any) -> bool:
        """Whether a passage's own metadata meets the condition, types included: a list is not its member."""
        if not isinstance(metadata, Mapping):
            return False
        value: Any = metadata.get(self.key)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        return isinstance(value, str) and value in self.allowed


def isolating_conditions(context: TenantContext, isolate_by: Sequence[str]) -> tuple[Condition, ...]:
    """Return the conditions of one verified context; raise RefusedError when it has no tier."""
    if context.tier is None:
        raise RefusedError(_NO_TIER)
    tier = Condition("tier", (context.tier,))
    if "tenant_id" not in isolate_by:
        return (tier,)
    return (tier, Condition("tenant_id", (context.tenant, SHARED_TENANT)))


def all_of(conditions: Sequence[Condition]) -> dict[str, Any]:
    """Return one filter with every condition at the outermost level.

    `andAll` takes 2 to 5 members (RetrievalFilter of the Agents for Amazon Bedrock Runtime API): one stands alone.
    """
    filters = [condition.as_filter() for condition in conditions]
    return filters[0] if len(filters) == 1 else {"andAll": filters}
