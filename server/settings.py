"""The settings: what there is to set, checked at start-up and frozen."""

import os
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Final, Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StrictBool,
    StrictInt,
    StrictStr,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from server.database.context_keys import ContextKey, listed_keys, parse_context_key
from server.database.url import mistake_in
from server.secret_files import file_of, secrets_from_files

CONFIG_VARIABLE: Final = "TENANTGATE_CONFIG"
PREFIX: Final = "TENANTGATE_"
# As a path of `catalog` or `migrations`: the sample pack, wherever it is installed.
SAMPLE: Final = "sample"
# The pattern that Retrieve itself publishes for a reranking model.
_FOUNDATION_MODEL: Final = r"^arn:aws(-[^:]+)?:bedrock:[a-z0-9-]{1,20}::foundation-model/.+$"
_WRITTEN_BY_PEOPLE: Final = frozenset({"user_metadata", "unsafe_metadata"})
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})

# RFC 6749 section 3.3, scope-token. The scopes of a server are those that its tools name.
SCOPE: Final = r"^[\x21\x23-\x5b\x5d-\x7e]{1,128}$"
Scope = Annotated[str, Field(pattern=SCOPE)]
# An issuer's own name of a scope: the same characters, and longer where it begins with a URL.
_IssuerScope = Annotated[str, Field(pattern=r"^[\x21\x23-\x5b\x5d-\x7e]{1,512}$")]
# Tenant ids as identity providers issue them; none of these characters ends a field of the signed context.
TENANT_ID: Final = r"^[A-Za-z0-9][A-Za-z0-9_.:@-]{0,127}$"
# Symmetric algorithms and `none` cannot even be named: anyone who can verify could also sign (RFC 8725 section 3.1).
Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"
]  # fmt: skip


def is_https_or_loopback(url: str) -> bool:
    """Whether `url` is https, or http to this very machine."""
    parts = urlsplit(url)
    return bool(parts.hostname) and (
        parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    )


def _url(url: str) -> str:
    if not is_https_or_loopback(url):
        raise ValueError("must be an absolute https URL; plain http is accepted on loopback only")
    parts = urlsplit(url)
    if parts.fragment or parts.query or parts.username:
        raise ValueError("must have no user, query or fragment")
    if parts.port == 0:
        raise ValueError("must have a port from 1 to 65535")
    if not url.isascii():
        raise ValueError("must be written in ASCII: the host in its xn-- form, the path percent-encoded")
    return url


def _claim_path(path: str) -> str:
    # `.*` ends the path, or stands between two plain paths.
    first, keys, rest = path.partition(".*")
    parts = [first, *([rest.removeprefix(".")] if rest else [])]
    wrong = not all(part and "*" not in (part[0], part[-1]) and ".*" not in part for part in parts)
    if wrong or (keys and rest and rest[0] != "."):
        raise ValueError(f'"{path}" must be a claim path: `a.b`, `a.*` for the keys of a map, `a.*.b` for b of each')
    # The names under which Supabase, Auth0 and Clerk keep what people write about themselves.
    if first.split(".")[0] in _WRITTEN_BY_PEOPLE:
        raise ValueError(f'"{path}" is written by the people themselves; use what an administrator sets')
    return path


def _plain_claim_path(path: str) -> str:
    if ".*" in _claim_path(path):
        raise ValueError(f'"{path}" must lead to a name or a list of names, not to the keys of a map')
    return path


Url = Annotated[str, AfterValidator(_url)]
ClaimPath = Annotated[str, AfterValidator(_claim_path)]
Tier = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class IssuerSettings(_Section):
    """One identity provider whose access tokens are accepted, and how its claims are read."""

    issuer: Annotated[Url, Field(max_length=200)]
    jwks_url: Url | Literal[""] = ""
    audiences: tuple[str, ...] = ()
    client_ids: tuple[str, ...] = ()
    algorithms: Annotated[tuple[Algorithm, ...], Field(min_length=1)] = ("RS256",)
    token_type: str | None = None
    token_use: str | None = None
    # Whether tokens that are bound to a key of their sender are taken (RFC 9449), and whether others are.
    dpop: Literal["off", "accepted", "required"] = "off"
    required_claims: Mapping[str, StrictBool | StrictInt | StrictStr] = {}
    max_lifetime_s: Annotated[int, Field(ge=60)] = 86_400
    tenant_claims: tuple[ClaimPath, ...] = ("tenant_id", "custom:tenant_id")
    tier_claim: Annotated[str, AfterValidator(_plain_claim_path)] = "cognito:groups"
    scope_map: Mapping[Scope, Annotated[tuple[_IssuerScope, ...], Field(min_length=1)]] = {}
    scopes_granted: tuple[Scope, ...] = ()

    @model_validator(mode="after")
    def _someone_is_meant(self) -> Self:
        if not self.audiences and not self.client_ids:
            raise ValueError("name `audiences` or `client_ids`: otherwise tokens made for other services are accepted")
        return self

    def names_of(self, scope: Scope) -> tuple[str, ...]:
        """Return the names under which this issuer grants `scope`, the preferred one first."""
        return self.scope_map.get(scope, (scope,))


class TenancySettings(_Section):
    """How a verified token leads to a tenant and a tier."""

    # One spelling for each tenant: a UUID in lower case, an integer without leading zeros.
    id_type: Literal["text", "uuid", "integer"] = "text"
    # False: the token's claim alone says which tenant, and every tenant that an issuer names is served.
    registry: bool = True
    tenant_lookup: bool = True
    tiers: tuple[Tier, ...] = ()

    @property
    def looks_up(self) -> bool:
        """Whether people are looked up in the registry, beside what their token claims."""
        return self.registry and self.tenant_lookup


class DatabaseSettings(_Section):
    """The database, as the server's read-only login sees it."""

    login: Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]{0,62}$")] = "app_user"
    url: SecretStr = SecretStr("")
    admin_url: SecretStr = SecretStr("")
    # As `keys add` prints them, too, which a variable or a file may hold.
    context_keys: Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(listed_keys)] = ()
    pool_size: Annotated[int, Field(ge=1, le=200)] = 8
    connections_per_tenant: Annotated[int, Field(ge=1)] | None = None
    statement_timeout_ms: Annotated[int, Field(ge=100, le=60_000)] = 5_000
    # False: for a pooler in transaction mode, where clients share the sessions of the database.
    prepared_statements: bool = True
    # Hosts that are not on this machine and whose certificate need not be verified (sslmode=verify-full).
    unverified_tls: tuple[str, ...] = ()
    # Relations that PUBLIC may read and nobody here can revoke; doctor and the start-up log list them every time.
    accepted_relations: tuple[str, ...] = ()

    @field_validator("url", "admin_url", mode="after")
    @classmethod
    def _is_postgresql(cls, url: SecretStr) -> SecretStr:
        # A file that holds a secret often ends with a line break.
        text = url.get_secret_value().strip()
        if text and (problem := mistake_in(text)):
            raise ValueError(problem)
        return SecretStr(text)

    @field_validator("context_keys")
    @classmethod
    def _are_keys(cls, keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        names = [parse_context_key(key.get_secret_value()).kid for key in keys]
        if len(names) != len(set(names)):
            raise ValueError("name each key id once")
        return keys

    def signing_keys(self) -> tuple[ContextKey, ...]:
        """Return the parsed context keys; the first signs."""
        return tuple(parse_context_key(key.get_secret_value()) for key in self.context_keys)


class DocumentsSettings(_Section):
    """The knowledge base of documents."""

    knowledge_base_id: Annotated[str, Field(pattern=r"^[0-9A-Za-z]{10}$")]
    region: str | None = None
    isolate_by: tuple[Literal["tier", "tenant_id"], ...] = ("tier",)
    search_type: Literal["HYBRID", "SEMANTIC"] | None = None
    reranking_model_arn: Annotated[str, Field(pattern=_FOUNDATION_MODEL)] | None = None
    timeout_ms: Annotated[int, Field(ge=100, le=60_000)] = 5_000
    retry_mode: Literal["standard", "adaptive"] = "standard"
    max_attempts: Annotated[int, Field(ge=1, le=10)] = 3

    @field_validator("isolate_by")
    @classmethod
    def _begins_with_tier(cls, keys: tuple[str, ...]) -> tuple[str, ...]:
        if keys not in {("tier",), ("tier", "tenant_id")}:
            raise ValueError('must be ["tier"] or ["tier", "tenant_id"]')
        return keys


class LimitsSettings(_Section):
    """Budgets of each worker process, per tenant and per person; 0 stands for no limit."""

    # A tenth of what one worker answers, and for one person a quarter of that.
    calls_per_minute_per_tenant: Annotated[int, Field(ge=0)] = 12_000
    calls_per_minute_per_person: Annotated[int, Field(ge=0)] = 3_000


class ConnectionsSettings(_Section):
    """How many client connections one worker process holds, and for how long idle ones live."""

    maximum: Annotated[int, Field(ge=16, le=1_000_000)] = 10_000
    per_source: Annotated[int, Field(ge=1)] = 512
    per_person: Annotated[int, Field(ge=1)] = 256
    keep_alive_s: Annotated[int, Field(ge=1, le=3_600)] = 75


class AuditSettings(_Section):
    """The audit trail; no path, no trail."""

    path: Path | None = None
    # Signs checkpoints, Ed25519; without it the chain alone is there.
    signing_key: SecretStr = SecretStr("")
    # Those of former keys, whose checkpoints still verify.
    public_keys: tuple[str, ...] = ()
    checkpoint_records: Annotated[int, Field(ge=1, le=100_000)] = 1_000
    checkpoint_s: Annotated[int, Field(ge=1, le=3_600)] = 10
    rotate_bytes: Annotated[int, Field(ge=4_096)] = 67_108_864
    rotate_s: Annotated[int, Field(ge=1)] = 86_400
    fsync: Literal["checkpoint", "record", "never"] = "checkpoint"

    @field_validator("signing_key")
    @classmethod
    def _is_a_key(cls, key: SecretStr) -> SecretStr:
        if text := key.get_secret_value():
            # Only here: reading keys loads a library that most verbs do without.
            from server.audit.keys import parse_signing_key

            parse_signing_key(text)
        return key

    @field_validator("public_keys")
    @classmethod
    def _are_keys(cls, keys: tuple[str, ...]) -> tuple[str, ...]:
        if keys:
            from server.audit.keys import public_keys

            public_keys(keys)
        return keys


class Settings(BaseSettings):
    """Everything the server needs to know; see docs/settings.md for each key."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True, hide_input_in_errors=True
    )

    resource_url: Url | Literal[""] = ""
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65_535)] = 8000
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    max_body_bytes: Annotated[int, Field(ge=1_024, le=16_777_216)] = 65_536
    catalog: tuple[str, ...] = ()
    migrations: tuple[str, ...] = ()
    instructions: str | None = None
    whoami: bool = True
    issuers: tuple[IssuerSettings, ...] = ()
    tenancy: TenancySettings = TenancySettings()
    database: DatabaseSettings = DatabaseSettings()
    documents: DocumentsSettings | None = None
    limits: LimitsSettings = LimitsSettings()
    connections: ConnectionsSettings = ConnectionsSettings()
    audit: AuditSettings = AuditSettings()

    @field_validator("resource_url")
    @classmethod
    def _can_be_served(cls, url: str) -> str:
        """Refuse a path that no request arrives under, or that another answer of this server has."""
        path = unquote(urlsplit(url).path)
        segments = path.removesuffix("/").split("/")[1:]
        if any(segment in {"", ".", ".."} for segment in segments) or set("{}") & set(path):
            raise ValueError("must have no empty, `.` or `..` part in its path, and no braces")
        if path in {"/ping", "/healthz", "/readyz"} or segments[:1] == [".well-known"]:
            raise ValueError("must have another path: this one is that of the health checks or of the metadata")
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
            raise ValueError("issuers: name each issuer once")
        return self

    @property
    def hosts(self) -> frozenset[str]:
        """The Host headers that are answered: the listed ones, else the one in `resource_url`.

        One of the names of this very machine stands for all of them: no page of another site can have one.
        """
        parts = urlsplit(self.resource_url)
        if self.allowed_hosts or parts.hostname not in _LOOPBACK:
            return frozenset(self.allowed_hosts or (parts.netloc,))
        port = f":{parts.port}" if parts.port else ""
        return frozenset(f"[{name}]{port}" if ":" in name else f"{name}{port}" for name in _LOOPBACK)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win over files of secrets, and those over the settings file; read nothing else."""
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
