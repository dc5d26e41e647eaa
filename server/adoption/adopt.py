"""One run of `adopt`: read the database, decide, compare with the output folder, and write what is missing."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, LiteralString

import psycopg

from server.administration.administrator import administrator
from server.administration.migrations import refuse_taken_names
from server.adoption.checking import check_request, check_rights
from server.adoption.columns import Choice
from server.adoption.counts import count_rows
from server.adoption.decisions import Decisions, decide
from server.adoption.declaring import DeclaredTable
from server.adoption.files import remove_file, write_file
from server.adoption.losses import losses_of
from server.adoption.migration_text import MigrationSection, Protecting
from server.adoption.output import Change, Standing, migration_changes, standing_in, tool_changes
from server.adoption.protected import protected_tables
from server.adoption.proving import prove as prove_tables
from server.adoption.relations import DatabaseRelations, read_database
from server.adoption.report import AdoptionReport, how_found
from server.adoption.request import Request
from server.adoption.toml_text import toml_of
from server.catalog.policy_problems import obstacles
from server.catalog.rollups import rollups_in
from server.errors import CatalogError, SettingsError
from server.progress import SILENT, Progress
from server.settings import DatabaseSettings, Settings

_APPLIED: Final[LiteralString] = "SELECT name FROM tenantgate.own_migrations"


def adopt(  # noqa: PLR0913  # what to read, what to write, and how to follow it
    settings: Settings,
    request: Request,
    output: Path,
    *,
    update: bool = False,
    prove: bool = False,
    shown: Progress = SILENT,
) -> AdoptionReport:
    """Return the report of one run; nothing in the database is changed.

    The first run into a folder writes all files. A later run writes only with `update`, and never changes a file that
    a person wrote or edited. `shown` is the progress. Raises SettingsError or StartupError before anything is written.
    """
    login = settings.database.login
    standing = standing_in(output)
    with _reader(settings.database) as connection:
        shown.step("reading the database")
        database = _with_rollups(read_database(connection), standing)
        check_request(request, database)
        decisions = _with_edited(decide(database, request, login, standing.tools), standing)
        if not decisions.declared:
            raise SettingsError(_nothing(decisions))
        check_rights(connection, decisions)
        kept = {name for name in decisions.tables if request.keeps_policies(name)}
        protecting = Protecting(connection, decisions, login, kept)
        sections = _sections(connection, decisions, protecting, login)
        changes = [
            *tool_changes(standing, _texts(decisions), database.relations),
            *migration_changes(standing, sections, decisions, _applied(connection)),
        ]
        counts = count_rows(connection, decisions, shown)
        losses = losses_of(connection, decisions, login)
        proved = prove_tables(connection, decisions, sections, login, shown) if prove else {}
        accepted = [name for name in protecting.out_of_our_power() if name not in settings.database.accepted_relations]
    writes = update or standing.is_empty
    if writes:
        _write(changes)
    edited = sorted(standing.declared.keys() & decisions.declared.keys())
    notes = list(_notes(settings, decisions, output, accepted))
    return AdoptionReport(decisions, counts, losses, changes, edited, proved, notes, written=writes)


@contextmanager
def _reader(database: DatabaseSettings) -> Generator[psycopg.Connection[Any]]:
    """Connect as the administrator, in a read-only session whose search path makes names schema-qualified."""
    with administrator(database.admin_url.get_secret_value(), database.unverified_tls) as connection:
        connection.execute("SET default_transaction_read_only = on")
        refuse_taken_names(connection, database.login)
        connection.cursor_factory = psycopg.RawCursor
        connection.execute("SET search_path = pg_catalog")
        connection.execute("SET quote_all_identifiers = off")
        yield connection


def _with_rollups(database: DatabaseRelations, standing: Standing) -> DatabaseRelations:
    """Return the database with each roll-up marked as a part of its source table, so that it is not adopted itself."""
    relations = dict(database.relations)
    for name, rollup in rollups_in(standing.declared).items():
        if name in relations:
            relations[name] = replace(relations[name], part_of=rollup.source.name)
    return replace(database, relations=relations)


def _with_edited(decisions: Decisions, standing: Standing) -> Decisions:
    """Return the decisions with the declarations of hand-edited files, also for tables that were not decided.

    Raises CatalogError when such a table cannot be isolated as it is declared.
    """
    relations = decisions.database.relations
    own = {
        name: DeclaredTable(table, decisions.declared[name].choice if name in decisions.declared else Choice({}, ()))
        for name, table in standing.declared.items()
        if name in relations
    }
    undecided = {name: one for name, one in decisions.undecided.items() if name not in own}
    edited = replace(decisions, declared={**decisions.declared, **own}, undecided=undecided)
    found = [
        problem
        for one in own.values()
        for problem in obstacles(one.table, edited.tables, edited.database.facts, edited.id_type)
    ]
    if found:
        raise CatalogError(dict.fromkeys(found))
    return edited


def _sections(
    connection: psycopg.Connection[Any], decisions: Decisions, protecting: Protecting, login: str
) -> list[MigrationSection]:
    """Return the SQL for every table that is not protected yet, and for undeclared relations the login can reach."""
    done = protected_tables(connection, decisions, login)
    sections = [protecting.section(name) for name in decisions.tables if name not in done]
    return [*sections, *protecting.out_of_reach()]


def _texts(decisions: Decisions) -> dict[str, str]:
    return {
        name: toml_of(one, f"{name}. Tenant: {how_found(one.table, decisions)}.")
        for name, one in decisions.declared.items()
    }


def _applied(connection: psycopg.Connection[Any]) -> set[str]:
    there = connection.execute("SELECT to_regclass('tenantgate.own_migrations') IS NOT NULL").fetchall()[0][0]
    return {row[0] for row in connection.execute(_APPLIED).fetchall()} if there else set()


def _write(changes: Sequence[Change]) -> None:
    for change in changes:
        if change.content is None:
            remove_file(change.path)
        else:
            write_file(change.path, change.content)


def _nothing(decisions: Decisions) -> str:
    reasons = [f"{name}: {one.reason}" for name, one in decisions.undecided.items()]
    if not reasons:
        return "no table was found to adopt; name others with --schema or --table"
    return f"no table can be adopted; the first of {len(reasons)} reasons: {reasons[0]}"


def _notes(settings: Settings, decisions: Decisions, output: Path, accepted: Sequence[str]) -> Iterator[str]:
    """Yield what is left to do; `accepted` are relations that PUBLIC may read and this administrator cannot change."""
    id_type = decisions.id_type
    if settings.tenancy.id_type != id_type:
        yield f'Tenant ids are of the type {id_type} here: set id_type = "{id_type}" under [tenancy] in the settings.'
    folders = {"catalog": (settings.catalog, "tools"), "migrations": (settings.migrations, "migrations")}
    for key, (named, folder) in folders.items():
        if str((output / folder).absolute()) not in named:
            yield f'Add "{output / folder}" to {key} in the settings.'
    if accepted:
        yield (
            f"PUBLIC may read {', '.join(accepted)}, which this administrator cannot change: name them in "
            "database.accepted_relations, or have their owner revoke it."
        )
    yield "Read what was written; then run `tenantgate migrate` and `tenantgate doctor`."
