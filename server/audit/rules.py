"""When a trail is signed, rotated and written to the disk."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class TrailRules:
    """The defaults are those of the settings; docs/audit.md says what each costs."""

    checkpoint_records: int = 250
    checkpoint_s: float = 10.0
    rotate_bytes: int = 67_108_864
    rotate_s: float = 86_400.0
    fsync: Literal["checkpoint", "record", "never"] = "checkpoint"
    # Whether checkpoints are also written to the log.
    announced: bool = True
