"""What a process keeps when a reload replaces its application: the parts that must exist once and not start again."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from server.audit.configured import configured_trail
from server.audit.trail import AuditTrail
from server.auth.keys import KeySet
from server.auth.used_proofs import UsedProofs
from server.http.connections import Connections
from server.settings import Settings
from server.telemetry.configured import configured_telemetry, reporting
from server.telemetry.readings import Watched
from server.telemetry.telemetry import Telemetry


@dataclass(slots=True)
class Kept:
    """The audit trail, which has one writer; the client connections; the proofs that must not be used again.

    `telemetry` goes on counting. `key_sets` are those of the issuers before the reload, so that calls continue while an
    identity provider is down. `watched` are the parts of the present application for the metrics.
    """

    trail: AuditTrail | None
    connections: Connections
    telemetry: Telemetry | None = None
    used_proofs: UsedProofs = field(default_factory=UsedProofs)
    key_sets: Mapping[str, KeySet] = field(default_factory=dict[str, KeySet])
    watched: Watched | None = None

    @classmethod
    def begun(cls, settings: Settings) -> "Kept":
        """Create the parts from `settings`; raises StartupError for a trail that cannot be written."""
        connections = Connections(**dict(settings.connections), proxies=settings.trusted_proxies)
        return cls(configured_trail(settings.audit), connections, configured_telemetry(settings))

    def shown(self, settings: Settings) -> AbstractAsyncContextManager[None]:
        """Return the context that reports the metrics; raises StartupError when its port is in use."""
        return reporting(settings, self.telemetry, self._watched)

    def _watched(self) -> Watched:
        if self.watched is None:
            raise RuntimeError("no application has started")
        return self.watched
