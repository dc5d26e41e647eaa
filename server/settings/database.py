"""The settings of the database."""

from typing import Annotated, Self

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from server.database.context_keys import ContextKey, listed_keys, parse_context_key
from server.database.url import has_password, mistake_in
from server.settings.values import Section


class DatabaseSettings(Section):
    """The database, as the server's read-only login sees it."""

    login: Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]{0,62}$")] = "app_user"
    url: SecretStr = SecretStr("")
    admin_url: SecretStr = SecretStr("")
    # As `keys add` prints them, too, which a variable or a file may hold.
    context_keys: Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(listed_keys)] = ()
    # Of all workers together.
    pool_size: Annotated[int, Field(ge=1, le=200)] = 8
    connections_per_tenant: Annotated[int, Field(ge=1)] | None = None
    statement_timeout_ms: Annotated[int, Field(ge=100, le=60_000)] = 5_000
    # False: for a pooler in transaction mode, where clients share the sessions of the database.
    prepared_statements: bool = True
    # For each new connection of `url`, a token of AWS IAM in place of a password; the region is else that of the host.
    iam: bool = False
    region: str | None = None
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

    @model_validator(mode="after")
    def _has_one_way_to_log_in(self) -> Self:
        if self.iam and has_password(self.url.get_secret_value()):
            raise ValueError("url has a password, and iam = true puts a token in its place; take one of the two out")
        return self

    def signing_keys(self) -> tuple[ContextKey, ...]:
        """Return the parsed context keys; the first signs."""
        return tuple(parse_context_key(key.get_secret_value()) for key in self.context_keys)
