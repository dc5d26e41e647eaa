"""The settings of the audit trail."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator

from server.settings.values import Section


class AuditSettings(Section):
    """The audit trail; no path, no trail."""

    path: Path | None = None
    # Signs checkpoints, Ed25519; without it the chain alone is there.
    signing_key: SecretStr = SecretStr("")
    # Those of former keys, whose checkpoints still verify.
    public_keys: tuple[str, ...] = ()
    checkpoint_records: Annotated[int, Field(ge=1, le=10_000)] = 250
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
