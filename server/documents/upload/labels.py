"""Check that the right people, and nobody else, can find a document by its labels."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from server.documents.isolation import SHARED_TENANT
from server.documents.upload.attributes import Attribute
from server.documents.upload.finding import Finding
from server.settings import TENANT_ID

Store: TypeAlias = Literal["s3-vectors", "opensearch", "aurora"]

_TENANT: Final = re.compile(TENANT_ID)
# Amazon S3 Vectors' limit on custom metadata of one vector.
_VECTOR_KEYS: Final = 35
_VECTOR_BYTES: Final = 1024


@dataclass(frozen=True, slots=True)
class LabelRules:
    """The allowed labels; where `tiers` or `tenants` is empty, any well-formed one is accepted."""

    isolate_by: tuple[str, ...] = ("tier",)
    tiers: tuple[str, ...] = ()
    tenants: tuple[str, ...] = ()
    store: Store | None = None


def label_findings(name: str, attributes: Mapping[str, Attribute], rules: LabelRules) -> Iterator[Finding]:
    """Yield what is wrong with the labels of one document; `name` is its sidecar's."""
    yield from _isolating_findings(name, attributes, rules)
    tier, tenant = attributes.get("tier"), attributes.get("tenant_id")
    if isinstance(tier, str) and rules.tiers and tier not in rules.tiers:
        yield Finding(name, "unknown-tier", f"names the unknown tier {tier!r}; known: {', '.join(rules.tiers)}")
    if tenant is not None and "tenant_id" not in rules.isolate_by:
        message = "names a tenant, but documents.isolate_by has no tenant_id, so answers that hold it are withheld"
        yield Finding(name, "unenforced-tenant", f'{message}; set it to ["tier", "tenant_id"], or remove the label')
    elif isinstance(tenant, str) and not _is_tenant(tenant, rules):
        known = f"known: {', '.join(rules.tenants)}" if rules.tenants else "use letters, digits and _ . : @ -"
        message = f"names the unknown tenant {tenant!r}; {known}, or {SHARED_TENANT!r} for every tenant of the tier"
        yield Finding(name, "unknown-tenant", message)
    for other in attributes:
        if other != "tenant_id" and other.strip().casefold() == "tenant_id":
            message = f"has the label {other!r}, which no filter knows; answers that hold it for others are withheld"
            yield Finding(name, "unenforced-tenant", f"{message}; write it tenant_id")
    if rules.store == "s3-vectors" and (len(attributes) > _VECTOR_KEYS or _size(attributes) > _VECTOR_BYTES):
        yield Finding(name, "too-much-metadata", "exceeds 1 KB or 35 keys, the limit of S3 Vectors; shorten it")


def _isolating_findings(name: str, attributes: Mapping[str, Attribute], rules: LabelRules) -> Iterator[Finding]:
    for key in rules.isolate_by:
        if key not in attributes:
            alike = next((f" (it has {other!r})" for other in attributes if other.strip().casefold() == key), "")
            yield Finding(name, "missing-isolating-key", f"lacks {key!r}{alike}, so nobody would find it; add it")
        elif not isinstance(attributes[key], str):
            yield Finding(name, "isolating-type", f"must give {key!r} as one text, else nobody would find it")


def _is_tenant(tenant: str, rules: LabelRules) -> bool:
    return tenant == SHARED_TENANT or (tenant in rules.tenants if rules.tenants else bool(_TENANT.fullmatch(tenant)))


def _size(attributes: Mapping[str, Attribute]) -> int:
    return sum(len(f"{key}{value}".encode()) for key, value in attributes.items())
