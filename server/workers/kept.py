"""What a process keeps while a reload replaces its application: whatever must be there once, and never begin anew."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from server.audit.configured import configured_trail
from server.audit.trail import AuditTrail
from server.auth.keys import KeySet
from server.auth.used_proofs import UsedProofs
from server.http.connections import Connections
from server.settings import Settings


@dataclass(slots=True)
class Kept:
    """The audit trail, which one writer holds; the client connections; the proofs that must not be used again.

    `key_sets` are those of the issuers that were served last: a provider that is away during a reload ends no call.
    """

    trail: AuditTrail | None
    connections: Connections
    used_proofs: UsedProofs = field(default_factory=UsedProofs)
    key_sets: Mapping[str, KeySet] = field(default_factory=dict[str, KeySet])

    @classmethod
    def begun(cls, settings: Settings) -> "Kept":
        """Return what `settings` describe; raises StartupError for a trail that cannot be written."""
        connections = Connections(**dict(settings.connections), proxies=settings.trusted_proxies)
        return cls(configured_trail(settings.audit), connections)
