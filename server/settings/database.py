"""The settings of the database."""

from typing import Annotated, Self

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from server.database.context_keys import ContextKey, listed_keys, parse_context_key
from server.database.url import has_password, mistake_in
from server.settings.values import Section


class DatabaseSettings(Section):
    """The database, which the server's login can only read."""

    login: Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]{0,62}$")] = "app_user"
    """the name of the server's login, which `migrate` creates"""
    url: SecretStr = SecretStr("")
    """the URL that connects as that login"""
    admin_url: SecretStr = SecretStr("")
    """for `migrate`, `keys`, `tenants` and `doctor --admin`; `serve` does not need it, so leave it out there"""
    # Also in the form that `keys add` prints, for a variable or a file.
    context_keys: Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(listed_keys)] = ()
    """`kid:BASE64` of 32 bytes each, a list or one text with commas between them; the first signs"""
    # For all workers together.
    pool_size: Annotated[int, Field(ge=1, le=200)] = 8
    """connections of all workers together: each has its part, at least one. `serve` compares them with [what the
    database can hold](running.md#connections-of-the-database)"""
    connections_per_tenant: Annotated[int, Field(ge=1)] | None = None
    """how many of them one tenant can hold at once, never all unless there is only one: [fair
    turns](architecture.md#fair-turns)"""
    statement_timeout_ms: Annotated[int, Field(ge=100, le=60_000)] = 5_000
    """PostgreSQL ends a longer statement"""
    # False for a pooler in transaction mode, where clients share database sessions.
    prepared_statements: bool = True
    """`false`: for a pooler in transaction mode; see [poolers](database.md#poolers-and-proxies)"""
    # A token of AWS IAM instead of a password, for each new connection of `url`; the region defaults to the host's.
    iam: bool = False
    """`true`: each new connection of `url` logs in with a [token of AWS
    IAM](database.md#tokens-of-iam-in-place-of-a-password) instead of a password"""
    region: str | None = None
    """AWS region of the database, for `iam`"""
    # Remote hosts whose certificates need not be verified (sslmode=verify-full).
    unverified_tls: tuple[str, ...] = ()
    """hosts of a trusted network that may be reached without `sslmode=verify-full`; see
    [connections](database.md#how-a-connection-is-made)"""
    # Relations that PUBLIC may read and that cannot be revoked here; doctor and the start-up log always list them.
    accepted_relations: tuple[str, ...] = ()
    """relations, as `schema.name`, that PUBLIC may read and whose grant you cannot revoke; listed at each start"""

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
            raise ValueError("names a key id twice; name each key id once")
        return keys

    @model_validator(mode="after")
    def _has_one_way_to_log_in(self) -> Self:
        if self.iam and has_password(self.url.get_secret_value()):
            raise ValueError("url has a password, but iam = true uses a token instead; remove one of the two")
        return self

    def signing_keys(self) -> tuple[ContextKey, ...]:
        """Return the parsed context keys; the first one signs."""
        return tuple(parse_context_key(key.get_secret_value()) for key in self.context_keys)
