"""The settings of the audit trail."""

import re
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, SecretStr, field_validator

from server.settings.values import Section

KMS_PREFIX: Final = "kms:"
# The ARN of a key itself: an alias could point to another key later.
_KMS_KEY: Final = re.compile(r"kms:arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]{1,64}")


class AuditSettings(Section):
    """The audit trail; without a path there is no trail."""

    path: Path | None = None
    """[the audit trail](audit.md), JSON lines, relative to the settings file; a second worker takes `audit.1.jsonl`
    beside `audit.jsonl`, and so on"""
    # The Ed25519 key that signs checkpoints, here or in KMS; without it there is only the chain of hashes.
    signing_key: SecretStr = SecretStr("")
    """base64 of an Ed25519 key that signs checkpoints: `tenantgate audit keys`; or [`kms:` and the ARN of a key in
    AWS KMS](audit.md#a-key-in-aws-kms)"""
    # The public keys of former signing keys, whose checkpoints still verify.
    public_keys: tuple[str, ...] = ()
    """public keys of former signing keys, whose checkpoints still verify"""
    checkpoint_records: Annotated[int, Field(ge=1, le=10_000)] = 250
    """a checkpoint is written after this many records"""
    checkpoint_s: Annotated[int, Field(ge=1, le=3_600)] = 10
    """and after this many seconds"""
    rotate_bytes: Annotated[int, Field(ge=4_096)] = 67_108_864
    """a new file is begun after this many bytes"""
    rotate_s: Annotated[int, Field(ge=1)] = 86_400
    """and after this many seconds"""
    fsync: Literal["checkpoint", "record", "never"] = "checkpoint"
    """when records are forced to the disk: [durability](audit.md#durability)"""

    @field_validator("signing_key")
    @classmethod
    def _is_a_key(cls, key: SecretStr) -> SecretStr:
        text = key.get_secret_value()
        if text.startswith(KMS_PREFIX):
            if not _KMS_KEY.fullmatch(text):
                raise ValueError(
                    "must name a key of KMS by its ARN: kms:arn:aws:kms:REGION:ACCOUNT:key/ID, not an alias"
                )
        elif text:
            # Imported late: reading keys loads a library that most verbs do not need.
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
