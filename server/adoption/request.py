"""The options of `adopt`: tenant columns and tables."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from server.errors import SettingsError

# A value of --keep-policies: every table that already has row level security.
EVERY_TABLE = "all"


@dataclass(frozen=True, slots=True)
class Request:
    """The options of one run.

    `names` are the columns that hold the tenant in every table that has them; `chosen` holds the column for single
    tables, by schema.table. Without `schemas` and `tables`, every schema of the database is read.
    """

    names: tuple[str, ...]
    chosen: Mapping[str, str] = field(default_factory=dict[str, str])
    schemas: frozenset[str] = frozenset()
    tables: frozenset[str] = frozenset()
    shared: frozenset[str] = frozenset()
    kept: frozenset[str] = frozenset()

    def wants(self, schema: str, name: str) -> bool:
        """Whether this table is to get tools."""
        table = f"{schema}.{name}"
        return not (self.schemas or self.tables) or schema in self.schemas or table in self.tables | self.shared

    def keeps_policies(self, table: str) -> bool:
        """Whether this table's policies for PUBLIC stay for roles other than the login."""
        return bool({table, EVERY_TABLE} & self.kept)

    @property
    def mentioned(self) -> tuple[tuple[str, str], ...]:
        """Every table that an option names, with that option."""
        options = (
            ("--tenant-column", self.chosen),
            ("--table", self.tables),
            ("--shared", self.shared),
            ("--keep-policies", self.kept - {EVERY_TABLE}),
        )
        return tuple((option, table) for option, tables in options for table in sorted(tables))


def parse_request(  # one for each option
    tenant_columns: Iterable[str],
    *,
    schemas: Sequence[str] = (),
    tables: Sequence[str] = (),
    shared: Sequence[str] = (),
    kept: Sequence[str] = (),
) -> Request:
    """Return the request; raises SettingsError for options that contradict each other or have a wrong form."""
    names, chosen = _tenant_columns(tenant_columns)
    for option, listed in (("--table", tables), ("--shared", shared)):
        for table in listed:
            _table(option, table)
    for table in kept:
        if table != EVERY_TABLE:
            _table("--keep-policies", table)
    if both := sorted(chosen.keys() & set(shared)):
        raise SettingsError(f"{both[0]} is named by --tenant-column and by --shared; keep one of the two")
    return Request(
        tuple(dict.fromkeys(names)),
        chosen,
        frozenset(schemas),
        frozenset(tables),
        frozenset(shared),
        frozenset(kept),
    )


def _tenant_columns(texts: Iterable[str]) -> tuple[list[str], dict[str, str]]:
    names: list[str] = []
    chosen: dict[str, str] = {}
    for text in texts:
        name, _, table = text.rpartition(":") if ":" in text else (text, "", "")
        if not name:
            raise SettingsError(f"--tenant-column {text!r}: write NAME, or NAME:SCHEMA.TABLE for a single table")
        if not table:
            names.append(name)
        elif chosen.setdefault(_table("--tenant-column", table), name) != name:
            raise SettingsError(f"--tenant-column names two columns of {table}; keep one of them")
    if not names and not chosen:
        raise SettingsError("--tenant-column is missing; name the column that holds the tenant, such as account_id")
    return names, chosen


def _table(option: str, text: str) -> str:
    schema, _, name = text.partition(".")
    if not schema or not name:
        raise SettingsError(f"{option} {text!r}: a table is written SCHEMA.TABLE, such as public.orders")
    return text
