"""`tenantgate tenants`: the registry of tenants and mappings. Every command may be repeated."""

import json as json_text
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from server.cli.help import Verb
from server.cli.options import Config, Json

if TYPE_CHECKING:
    import psycopg

    from server.settings import Settings

tenants_cli: Final = typer.Typer(
    help="The registry of tenants.", no_args_is_help=True, rich_markup_mode=None, add_completion=False
)
TenantId = Annotated[str, typer.Argument(metavar="ID", help="The tenant's id.")]
Issuer = Annotated[str, typer.Argument(metavar="ISSUER", help="The exact `iss` of the person's tokens.")]
Subject = Annotated[str, typer.Argument(metavar="SUBJECT", help="The exact `sub` of the person's tokens.")]
_SUBJECT_CHARACTERS: Final = 255
_SOON: Final = "within 30 s"


@tenants_cli.command(cls=Verb)
def add(
    tenant: TenantId,
    name: Annotated[
        str | None, typer.Option(metavar="TEXT", help="The name that administrators see; else the id.")
    ] = None,
    config: Config = None,
) -> None:
    """Add an active tenant, or give one that is there a new name.

    Example: tenantgate tenants add acme --name "Acme"
    """
    from server.administration.tenants import add_tenant
    from server.errors import SettingsError

    if name is not None and not (name.strip() and name.isprintable()):
        raise SettingsError("--name must be printable text that is not empty")
    with _registry(config) as (connection, settings):
        tenant = _canonical(tenant, settings)
        typer.echo(f"{tenant}: {add_tenant(connection, tenant, name)}")


@tenants_cli.command("list", cls=Verb)
def show(json: Json = False, config: Config = None) -> None:
    """Show every tenant, whether it is active, and how many people are mapped to it.

    Example: tenantgate tenants list --json
    """
    from server.administration.tenants import stored_tenants
    from server.cli.table import print_table
    from server.tenant_id import canonical_tenant

    with _registry(config) as (connection, settings):
        tenants = stored_tenants(connection)
    if json:
        typer.echo(json_text.dumps([asdict(one) for one in tenants]))
        return
    id_type = settings.tenancy.id_type
    states = {True: "active", False: "not active"}
    rows = [(one.tenant, states[one.active], str(one.people), one.name) for one in tenants]
    print_table(("tenant", "state", "people", "name"), rows)
    for one in tenants:
        if canonical_tenant(one.tenant, id_type) != one.tenant:
            typer.echo(
                f"{one.tenant} is not the canonical spelling of the type {id_type}, so no caller reaches it; add it "
                "in that spelling",
                err=True,
            )


@tenants_cli.command(cls=Verb)
def deactivate(tenant: TenantId, config: Config = None) -> None:
    """Refuse everybody of a tenant; its mappings stay.

    Example: tenantgate tenants deactivate acme
    """
    from server.administration.tenants import switch_tenant

    with _registry(config) as (connection, settings):
        tenant = _canonical(tenant, settings)
        changed = switch_tenant(connection, tenant, active=False)
    typer.echo(f"{tenant}: not active; its people are refused {_SOON}" if changed else f"{tenant}: already not active")


@tenants_cli.command(cls=Verb)
def activate(tenant: TenantId, config: Config = None) -> None:
    """Let the people of a tenant in again.

    Example: tenantgate tenants activate acme
    """
    from server.administration.tenants import switch_tenant

    with _registry(config) as (connection, settings):
        tenant = _canonical(tenant, settings)
        changed = switch_tenant(connection, tenant, active=True)
    typer.echo(f"{tenant}: active" if changed else f"{tenant}: already active")


@tenants_cli.command("map", cls=Verb)
def map_(issuer: Issuer, subject: Subject, tenant: TenantId, config: Config = None) -> None:
    """Map a person, or a client that acts for itself, to a tenant; a person may have several.

    Example: tenantgate tenants map https://idp.example.com 6b1f0c9e acme
    """
    from server.administration.tenants import map_person
    from server.errors import SettingsError

    with _registry(config) as (connection, settings):
        known = [one.issuer for one in settings.issuers]
        if known and issuer not in known:
            raise SettingsError(f"{issuer} is not an issuer of the settings; write one of them: {', '.join(known)}")
        if not (0 < len(subject) <= _SUBJECT_CHARACTERS and subject.isascii() and subject.isprintable()):
            raise SettingsError("the subject must be 1 to 255 printable ASCII characters, as `sub` in a token")
        tenant = _canonical(tenant, settings)
        is_new = map_person(connection, issuer, subject, tenant)
    typer.echo(f"{subject} is mapped to {tenant}" if is_new else f"{subject} is already mapped to {tenant}")


@tenants_cli.command(cls=Verb)
def unmap(issuer: Issuer, subject: Subject, tenant: TenantId, config: Config = None) -> None:
    """Withdraw a mapping.

    Example: tenantgate tenants unmap https://idp.example.com 6b1f0c9e acme
    """
    from server.administration.tenants import unmap_person

    with _registry(config) as (connection, settings):
        tenant = _canonical(tenant, settings)
        was_there = unmap_person(connection, issuer, subject, tenant)
    gone = f"is not mapped to {tenant} any more; they are refused {_SOON}"
    typer.echo(f"{subject} {gone}" if was_there else f"{subject} is not mapped to {tenant}")


@tenants_cli.command(cls=Verb)
def sync(  # noqa: PLR0913, PLR0917  # one per option
    relation: Annotated[str, typer.Option("--from", metavar="SCHEMA.TABLE", help="A table or view of your own.")],
    key: Annotated[str, typer.Option(metavar="COLUMN", help="Its column of tenant ids.")],
    name_column: Annotated[str | None, typer.Option(metavar="COLUMN", help="Its column of names.")] = None,
    where: Annotated[str | None, typer.Option(metavar="SQL", help="Which rows count, in your own SQL.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the changes, and make none.")] = False,
    allow_empty: Annotated[bool, typer.Option("--allow-empty", help="Accept a source without any tenant.")] = False,
    json: Json = False,
    config: Config = None,
) -> None:
    """Make the active tenants those of a table: add new ones, activate returned ones, deactivate vanished ones.

    Example: tenantgate tenants sync --from shop.accounts --key id --dry-run
    """
    from server.administration.tenant_sync import Source, sync_tenants

    source = Source.parse(relation, key, name_column, where)
    with _registry(config) as (connection, settings):
        id_type = settings.tenancy.id_type
        changes = sync_tenants(connection, source, id_type, dry_run=dry_run, allow_empty=allow_empty)
    done = asdict(changes)
    if json:
        typer.echo(json_text.dumps({**done, "dry_run": dry_run}))
        return
    changed = {kind: ids for kind, ids in done.items() if kind != "unchanged"}
    if dry_run:
        for kind, ids in changed.items():
            for tenant in ids:
                typer.echo(f"{kind}: {tenant}")
    counts = ", ".join(f"{len(ids)} {kind}" for kind, ids in changed.items())
    typer.echo(f"{counts}, {changes.unchanged} unchanged" + (" (dry run: nothing was changed)" if dry_run else ""))


@contextmanager
def _registry(config: Path | None) -> "Generator[tuple[psycopg.Connection[Any], Settings]]":
    """Connect as the administrator; print a notice when the server does not use the registry."""
    from server.administration.administrator import administrator
    from server.configuration import load_settings

    settings = load_settings(config, ["database.admin_url"])
    if not settings.tenancy.registry:
        typer.echo("tenancy.registry is false: the server does not ask the registry", err=True)
    database = settings.database
    with administrator(database.admin_url.get_secret_value(), database.unverified_tls) as connection:
        yield connection, settings


def _canonical(tenant: str, settings: "Settings") -> str:
    from server.errors import SettingsError
    from server.tenant_id import canonical_tenant

    canonical = canonical_tenant(tenant, settings.tenancy.id_type)
    if canonical is None:
        form = {
            "text": "1 to 128 letters, digits and _.:@-, beginning with a letter or digit",
            "uuid": "a UUID",
            "integer": "an integer from 0 to 9223372036854775807",
        }[settings.tenancy.id_type]
        raise SettingsError(f"{tenant[:130]!r} is not a tenant id: tenancy.id_type requires {form}")
    return canonical
