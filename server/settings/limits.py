"""The settings of budgets."""

from typing import Annotated, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from server.database.transport import is_here
from server.settings.store_url import store_address
from server.settings.values import Section


class LimitsSettings(Section):
    """Budgets per tenant and per person; 0 means no limit.

    They apply to each worker process or, with a `store`, to all processes that use the same store together.
    """

    # A tenth of what one worker can answer; for one person, a quarter of that.
    calls_per_minute_per_tenant: Annotated[int, Field(ge=0)] = 12_000
    """requests that run for one tenant, with any method; further ones are answered the same way"""
    calls_per_minute_per_person: Annotated[int, Field(ge=0)] = 3_000
    """requests of one (issuer, sub), with any method; further ones are answered with 429 and Retry-After before
    their body is read. A body counts once more for each 4 KiB after the first"""
    # The Valkey or Redis server that keeps the counts.
    store: SecretStr = SecretStr("")
    """the URL of a Valkey or Redis server that counts [for all replicas](limits.md#limits-shared-by-replicas):
    `valkeys://`, `rediss://`, `unix://`, and on this machine `valkey://`, `redis://`"""
    # Remote hosts that may receive the password and the counts without TLS.
    store_clear_text: tuple[str, ...] = ()
    """hosts of a trusted network that `store` may reach without TLS"""

    @field_validator("store", mode="after")
    @classmethod
    def _can_be_read(cls, store: SecretStr) -> SecretStr:
        # A file that holds a secret often ends with a line break.
        text = store.get_secret_value().strip()
        if text:
            store_address(text)
        return SecretStr(text)

    @model_validator(mode="after")
    def _is_encrypted(self) -> Self:
        text = self.store.get_secret_value()
        address = store_address(text) if text else None
        if address and not (address.path or address.is_tls or is_here(address.host)):
            accepted = {name.lower() for name in self.store_clear_text}
            if address.host not in accepted:
                raise ValueError(
                    f"store: {address.host} is not on this machine and would be reached without TLS; anyone on "
                    "the network path could read the password and change the counts; write valkeys:// "
                    "(or rediss://), or accept the host by name in limits.store_clear_text"
                )
        return self
