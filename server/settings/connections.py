"""The settings of client connections."""

from typing import Annotated

from pydantic import Field

from server.settings.values import Section


class ConnectionsSettings(Section):
    """How many client connections one worker process holds, and how long idle ones are kept."""

    maximum: Annotated[int, Field(ge=16, le=1_000_000)] = 10_000
    per_source: Annotated[int, Field(ge=1)] = 512
    per_person: Annotated[int, Field(ge=1)] = 256
    keep_alive_s: Annotated[int, Field(ge=1, le=3_600)] = 75
