"""How many client connections a process holds, and which one goes when there are too many."""

import asyncio
from collections.abc import Callable, Hashable, Iterable
from typing import Any, Final

import structlog

from server.http.file_limit import affordable
from server.http.held import ByLastUse, Held
from server.http.source import Network, Sources, network_of
from server.http.turns import Turns

# Once per interval one line says what was closed.
REPORT_INTERVAL_S: Final = 10.0
_log: Final = structlog.get_logger("connections")
Person = tuple[str, str]


class Connections:
    """The connections of one server: `open`, of them `trusted`; since the start `dropped` and `refused`.

    A connection that has carried a verified token is trusted and counts for its person; every other one counts for its
    source address. Those of `proxies` count for nobody. Closing beats waiting: a caller whose connection is not taken
    waits in the same queue as the flood.
    """

    def __init__(
        self,
        maximum: int = 1_000,
        per_source: int = 512,
        per_person: int = 256,
        keep_alive_s: int = 75,
        proxies: Iterable[Network] = (),
    ) -> None:
        """Hold at most `maximum`, and fewer where this process may not open that many files."""
        self.maximum: Final = affordable(maximum)
        self.keep_alive_s: Final = keep_alive_s
        self.dropped = 0
        self.refused = 0
        self._per_source: Final = per_source
        self._per_person: Final = per_person
        self._proxies: Final = Sources(tuple(proxies))
        self._held: Final[set[Held]] = set()
        self._turns: Final = Turns()
        self._waiting: Final = ByLastUse()
        self._trusted: Final = ByLastUse()
        self._told: tuple[int, int] = (0, 0)
        self._quiet: asyncio.TimerHandle | None = None

    @property
    def open(self) -> int:
        """How many there are now."""
        return len(self._held)

    @property
    def trusted(self) -> int:
        """How many of them have carried a verified token and do not come from a proxy."""
        return len(self._trusted)

    def admit(self, connection: Held, address: str | None) -> bool:
        """Count a new connection, closing another where that makes room; False: there is none, close this one."""
        source = self._source(address)
        if source is not None and self._waiting.count(source) >= self._per_source:
            self._drop(self._waiting.oldest(source))
        elif source is not None and len(self._waiting) >= self.maximum // 2:
            # Early: the other half stays free for those who show a token.
            self._drop(self._waiting.oldest())
        elif len(self._held) >= self.maximum and not self._drop(self._waiting.oldest() or self._trusted.oldest_idle()):
            self.refused += 1
            self._report()
            return False
        self._held.add(connection)
        if source is not None:
            self._waiting.put(connection, source)
        return True

    def used(self, connection: Held) -> None:
        """Note that a request began: without a token, the connection that was not used for longest goes first."""
        self._waiting.put_last(connection)

    def takes_turns(self, connection: Held) -> bool:
        """Whether a connection has shown no token yet, so that what arrives on it may have to wait."""
        return connection in self._waiting

    def must_wait(self, connection: Held, proceed: Callable[[], None]) -> bool:
        """Whether others without a token have used this turn up; then `proceed` is called in a later one."""
        source = self._waiting.owner(connection)
        if source is None or self._turns.take():
            return False
        self._turns.wait(source, proceed)
        return True

    def trust(self, connection: Held, person: Person) -> None:
        """Count a connection for the person whose verified token it has just carried."""
        if self._trusted.put_last_of(connection, person):
            return
        if connection in self._trusted:
            self._trusted.take(connection)
        elif self._waiting.take(connection) is None:
            return
        if self._trusted.count(person) >= self._per_person:
            self._drop(self._trusted.oldest_idle(person))
        self._trusted.put(connection, person)

    def distrust(self, connection: Held, address: str | None) -> None:
        """Count a connection for its source again: its person sends more than they may, so it waits for its turns."""
        source = self._source(address)
        if source is not None and self._trusted.take(connection) is not None:
            self._waiting.put(connection, source)

    def forget(self, connection: Held) -> None:
        """Stop counting a connection that is closed."""
        self._held.discard(connection)
        self._waiting.take(connection)
        self._trusted.take(connection)

    def _drop(self, connection: Held | None) -> bool:
        if connection is None:
            return False
        self.forget(connection)
        connection.drop()
        self.dropped += 1
        self._report()
        return True

    def _source(self, address: str | None) -> Hashable | None:
        """Return what a connection counts for: an IPv4 address, the /64 of an IPv6 one; None for a trusted proxy."""
        # A socket of this machine that has no address has no source either.
        if address is None or self._proxies.is_trusted(address):
            return None
        network = network_of(address, 32, 64)
        return network and network.removesuffix("/32")

    def _report(self) -> None:
        """Log what was closed: at once, and then once per interval."""
        if self._quiet is None:
            self._log()
            self._quiet = asyncio.get_running_loop().call_later(REPORT_INTERVAL_S, self._end_interval)

    def _end_interval(self) -> None:
        self._quiet = None
        if self._told != (self.dropped, self.refused):
            self._report()

    def _log(self) -> None:
        dropped, refused = self.dropped - self._told[0], self.refused - self._told[1]
        self._told = (self.dropped, self.refused)
        source, number = self._waiting.largest()
        counts: dict[str, Any] = {"dropped": dropped, "refused": refused, "open": self.open, "trusted": self.trusted}
        if source is not None:
            counts |= {"largest_source": source, "of_largest_source": number}
        _log.warning("connections were closed to make room (docs/front-door.md)", **counts, maximum=self.maximum)
