"""All settings, checked at start-up and frozen."""

import os
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import Field, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from server.aws_secrets import resolved
from server.secret_files import file_of, secrets_from_files
from server.settings.audit import AuditSettings
from server.settings.connections import ConnectionsSettings
from server.settings.database import DatabaseSettings
from server.settings.documents import DocumentsSettings
from server.settings.issuer import IssuerSettings
from server.settings.limits import LimitsSettings
from server.settings.telemetry import TelemetrySettings
from server.settings.tenancy import TenancySettings
from server.settings.values import LOOPBACK, Url

CONFIG_VARIABLE: Final = "TENANTGATE_CONFIG"
PREFIX: Final = "TENANTGATE_"
# This path in `catalog` or `migrations` means the sample pack, wherever it is installed.
SAMPLE: Final = "sample"


class Settings(BaseSettings):
    """Everything the server needs; docs/settings.md describes each key."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True, hide_input_in_errors=True
    )

    resource_url: Url | Literal[""] = ""
    """the server's canonical URI: audience, metadata, challenges; the endpoint answers POST on its path (`/`
    without one) and on `<path>/t/<tenant>`. A proxy in front passes the path on as it is"""
    allowed_hosts: tuple[str, ...] = ()
    """exact Host headers that are answered, in any letter case, with the port unless it is the scheme's default;
    for a `resource_url` on loopback, `127.0.0.1`, `localhost` and `[::1]`. The log names a refused one"""
    allowed_origins: tuple[str, ...] = ()
    """exact Origins of browser clients"""
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    """addresses and networks (`"10.0.0.0/8"`) of the proxies in front: their connections carry many people and have
    no limit per source, and their `X-Forwarded-For` gives the client's address"""
    host: str = "127.0.0.1"
    """the address to listen on; also a flag of `serve`"""
    port: Annotated[int, Field(ge=1, le=65_535)] = 8000
    """the port; also a flag of `serve`"""
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    """worker processes; also a flag of `serve`. See [workers](running.md#workers)"""
    max_body_bytes: Annotated[int, Field(ge=1_024, le=16_777_216)] = 65_536
    """a larger request body is refused with 413; one with over 512 opening brackets or 2,048 commas, counted in
    texts too, with 400"""
    catalog: tuple[str, ...] = ()
    """folders or files of declarations, relative to the settings file; `"sample"` is the sample pack:
    [catalog](catalog.md)"""
    migrations: tuple[str, ...] = ()
    """folders of your own SQL migrations, applied after the core's; `"sample"` as above"""
    instructions: str | None = None
    """the text that a model gets at the start, instead of the catalog's texts"""
    whoami: bool = True
    """`false` removes the built-in tool of this name"""
    issuers: tuple[IssuerSettings, ...] = ()
    tenancy: TenancySettings = TenancySettings()
    database: DatabaseSettings = DatabaseSettings()
    documents: DocumentsSettings | None = None
    limits: LimitsSettings = LimitsSettings()
    connections: ConnectionsSettings = ConnectionsSettings()
    audit: AuditSettings = AuditSettings()
    telemetry: TelemetrySettings = TelemetrySettings()

    @model_validator(mode="before")
    @classmethod
    def _with_the_secrets_of_aws(cls, data: Any) -> Any:
        """Replace each reference to a secret with the secret, wherever the reference came from."""
        return resolved(cls, data)

    @field_validator("resource_url")
    @classmethod
    def _can_be_served(cls, url: str) -> str:
        """Refuse a path that no request can have, or that another answer of this server uses."""
        path = unquote(urlsplit(url).path)
        segments = path.removesuffix("/").split("/")[1:]
        if any(segment in {"", ".", ".."} for segment in segments) or set("{}") & set(path):
            raise ValueError("must have no empty, `.` or `..` part in its path, and no braces")
        if path in {"/ping", "/healthz", "/readyz"} or segments[:1] == [".well-known"]:
            raise ValueError("must have another path: the health checks or the metadata use this one")
        return url

    @field_validator("allowed_hosts", "allowed_origins")
    @classmethod
    def _are_exact(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if any("*" in name or not name for name in names):
            raise ValueError("must list exact names; a wildcard would accept `name:*@elsewhere`")
        return names

    @model_validator(mode="after")
    def _issuers_are_distinct(self) -> Self:
        names = [issuer.issuer for issuer in self.issuers]
        if len(names) != len(set(names)):
            raise ValueError("issuers: an issuer is listed twice; list each issuer once")
        return self

    @model_validator(mode="after")
    def _each_worker_has_a_connection(self) -> Self:
        if self.database.pool_size < self.workers:
            raise ValueError(
                f"database.pool_size: {self.database.pool_size} connections are too few for {self.workers} workers; "
                "each needs at least one; raise it, or lower workers"
            )
        return self

    @property
    def hosts(self) -> frozenset[str]:
        """The Host headers that are answered: the listed ones, else the one in `resource_url`.

        A loopback name in `resource_url` allows all loopback names: no page of another site can have one.
        """
        parts = urlsplit(self.resource_url)
        if self.allowed_hosts or parts.hostname not in LOOPBACK:
            return frozenset(self.allowed_hosts or (parts.netloc,))
        port = f":{parts.port}" if parts.port else ""
        return frozenset(f"[{name}]{port}" if ":" in name else f"{name}{port}" for name in LOOPBACK)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment override files of secrets, and those override the settings file; read nothing else."""
        file = os.environ.get(CONFIG_VARIABLE)
        toml = (TomlConfigSettingsSource(settings_cls, Path(file)),) if file else ()
        secrets = InitSettingsSource(settings_cls, secrets_from_files(settings_cls, PREFIX))
        if isinstance(env_settings, EnvSettingsSource):
            # Variables that name the file of a secret are read above.
            given = env_settings.env_vars.items()
            env_settings.env_vars = {
                name: text for name, text in given if file_of(settings_cls, name.upper(), PREFIX) is None
            }
        return (init_settings, env_settings, secrets, *toml)
