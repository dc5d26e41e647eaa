"""The tenants for live proofs: real ones, and one that does not exist."""

from typing import Any, Final

import psycopg

from server.catalog.declarations import Table, Through
from server.catalog.tenant_columns import Family, family_of
from server.database.statement import Statement
from server.doctor.contexts import ContextSigner
from server.doctor.declared import Declared
from server.tenant_id import IdType, canonical_tenant

# This person of this issuer may list tenants. No identity provider can have this name: their names are URLs.
_PROVER: Final = ("tenantgate:proof", "doctor")
_LISTED: Final = Statement(
    "proof_tenants", "SELECT one AS tenant FROM tenancy.proof_tenants() AS one", dict[str, str], parameters=0
)
_NOBODY: Final[dict[Family, str]] = {
    "text": "00000000-0000-4000-8000-1501a7100000",
    "uuid": "00000000-0000-4000-8000-1501a7100000",
    "integer": "9150171000000000001",
}


def registered_tenants(connection: psycopg.Connection[Any], signer: ContextSigner, id_type: IdType) -> list[str]:
    """Return up to two active tenants of the registry, which the login reads with a special context."""
    with connection.transaction(force_rollback=True):
        row = connection.execute(_LISTED.sent, (signer.sign(_LISTED, "", person=_PROVER),)).fetchall()[0]
    listed = [one["tenant"] for one in _LISTED.read(row[1])]
    # A tenant with a non-canonical spelling cannot be a caller's tenant.
    return [tenant for tenant in listed if canonical_tenant(tenant, id_type) == tenant]


def root(declared: Declared, table: Table) -> Table:
    """Return the table at the end of the chain of parents; it has the tenant column."""
    while isinstance(table.tenant, Through):
        table = declared.tables[table.tenant.parent]
    return table


def family(declared: Declared, table: Table) -> Family:
    """Return the type with which tenants are compared: that of the tenant column at the end of the table's chain."""
    first = root(declared, table)
    column = declared.facts[first.name].columns.get(first.tenant_column or "")
    return (column and family_of(column)) or "text"


def nobody(kind: Family) -> str:
    """Return a tenant that does not exist, in a form that a column of this kind can be compared with."""
    return _NOBODY[kind]


def is_possible(declared: Declared, tenant: str, kind: Family) -> bool:
    """Whether a caller can have this tenant in this spelling, and a column of this kind can be compared with it."""
    types: tuple[IdType, ...] = (kind, declared.id_type)
    return all(canonical_tenant(tenant, one) == tenant for one in types)
