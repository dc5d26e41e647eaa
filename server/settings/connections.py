"""The settings of client connections."""

from typing import Annotated

from pydantic import Field

from server.settings.values import Section


class ConnectionsSettings(Section):
    """How many client connections one worker process holds, and how long idle ones are kept."""

    maximum: Annotated[int, Field(ge=16, le=1_000_000)] = 10_000
    """client connections; fewer if the process may open fewer files. Half of them are reserved for clients that
    show a token"""
    per_source: Annotated[int, Field(ge=1)] = 512
    """connections of one address (the /64 of an IPv6 one) without a valid token so far; the longest unused one is
    closed for a new one"""
    per_person: Annotated[int, Field(ge=1)] = 256
    """connections with a valid token of one (issuer, sub)"""
    keep_alive_s: Annotated[int, Field(ge=1, le=3_600)] = 75
    """how long an idle connection is kept: longer than the proxy in front keeps it"""
