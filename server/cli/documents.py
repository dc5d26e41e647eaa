"""`tenantgate documents`: check a folder, write canaries into it, bring it to the knowledge base."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from server.cli.help import Verb
from server.cli.options import Config, Json

if TYPE_CHECKING:
    from server.documents.upload.labels import LabelRules
    from server.settings import Settings

documents_cli: Final = typer.Typer(
    help="Documents: check sidecars, upload and ingest.", no_args_is_help=True, rich_markup_mode=None
)
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The folder of documents with sidecars.")]

Tiers = Annotated[
    list[str] | None, typer.Option("--tier", metavar="NAME", help="A known tier; repeat it. Else from the settings.")
]
Tenants = Annotated[
    list[str] | None, typer.Option("--tenant", metavar="ID", help="A known tenant; repeat it. Else any is accepted.")
]
ByTenant = Annotated[
    bool, typer.Option("--by-tenant", help="Every document must name its tenant too. Else from the settings.")
]
Store = Annotated[
    Literal["s3-vectors", "opensearch", "aurora"] | None,
    typer.Option(metavar="NAME", help="Also check the limits of s3-vectors, opensearch or aurora."),
]


@documents_cli.command(cls=Verb)
def check(  # noqa: PLR0913, PLR0917  # the options of a verb
    folder: Folder,
    json: Json = False,
    tier: Tiers = None,
    tenant: Tenants = None,
    by_tenant: ByTenant = False,
    store: Store = None,
    config: Config = None,
) -> None:
    """Find what is wrong with the documents and sidecars of a folder; exit code 1 when something is.

    Example: tenantgate documents check guides --tier regular --tier platinum
    """
    from server.documents.upload.check import check_folder
    from server.documents.upload.report import print_findings

    checked = check_folder(folder, _rules(_settings(config), tier, tenant, by_tenant, store))
    print_findings(checked, folder, json=json)
    raise typer.Exit(bool(checked.findings))


@documents_cli.command(cls=Verb)
def canaries(
    folder: Folder,
    tier: Tiers = None,
    tenant: Tenants = None,
    by_tenant: ByTenant = False,
    config: Config = None,
) -> None:
    """Write a canary of every tier, and of every tenant named; with them `doctor` proves the isolation.

    Example: tenantgate documents canaries guides --tier regular
    """
    from server.documents.upload.canaries import write_canaries
    from server.errors import SettingsError

    rules = _rules(_settings(config), tier, tenant, by_tenant)
    if not rules.tiers:
        raise SettingsError("no tier is known; name each with --tier, or the settings with --config")
    for name in write_canaries(folder, rules):
        typer.echo(name)


@documents_cli.command(cls=Verb)
def sync(  # noqa: PLR0913, PLR0917  # the options of a verb
    folder: Folder,
    bucket: Annotated[str, typer.Option(metavar="NAME", help="The data source's bucket.")],
    data_source: Annotated[str, typer.Option(metavar="ID", help="The data source's id.")],
    knowledge_base: Annotated[
        str | None, typer.Option(metavar="ID", help="Its id; else documents.knowledge_base_id.")
    ] = None,
    region: Annotated[
        str | None, typer.Option(metavar="NAME", help="Else documents.region, else AWS's own variables.")
    ] = None,
    prefix: Annotated[
        str, typer.Option(metavar="TEXT", help="Where in the bucket the folder belongs, such as guides/.")
    ] = "",
    delete: Annotated[bool, typer.Option("--delete", help="Also delete what the folder no longer has.")] = False,
    json: Json = False,
    tier: Tiers = None,
    tenant: Tenants = None,
    by_tenant: ByTenant = False,
    store: Store = None,
    config: Config = None,
) -> None:
    """Check a folder, upload what changed, sidecar first, and have the knowledge base ingest it.

    Example: tenantgate documents sync guides --bucket b --data-source D1
    """
    from server.documents.upload.report import print_findings, print_synced
    from server.documents.upload.transfer import Destination, transfer
    from server.errors import SettingsError

    settings = _settings(config)
    configured = settings.documents if settings else None
    knowledge_base = knowledge_base or (configured.knowledge_base_id if configured else None)
    if knowledge_base is None:
        raise SettingsError("no knowledge base is known; name it with --knowledge-base, or the settings with --config")
    region = region or (configured.region if configured else None)
    destination = Destination(bucket, prefix, knowledge_base, data_source, region)
    checked, synced = transfer(folder, _rules(settings, tier, tenant, by_tenant, store), destination, delete=delete)
    if synced is None:
        print_findings(checked, folder, json=json)
        raise typer.Exit(1)
    print_synced(synced, json=json)
    raise typer.Exit(not synced.is_whole)


def _settings(config: Path | None) -> "Settings | None":
    """Return the settings if there are any; options can override them."""
    import os

    from server.configuration import load_settings, settings_variables
    from server.settings import CONFIG_VARIABLE

    return load_settings(config) if config or CONFIG_VARIABLE in os.environ or settings_variables() else None


def _rules(
    settings: "Settings | None",
    tier: list[str] | None,
    tenant: list[str] | None,
    by_tenant: bool,
    store: Literal["s3-vectors", "opensearch", "aurora"] | None = None,
) -> "LabelRules":
    from server.documents.upload.labels import LabelRules

    configured = settings.documents if settings else None
    return LabelRules(
        isolate_by=("tier", "tenant_id") if by_tenant else configured.isolate_by if configured else ("tier",),
        tiers=tuple(tier or (settings.tenancy.tiers if settings else ())),
        tenants=tuple(tenant or ()),
        store=store,
    )
