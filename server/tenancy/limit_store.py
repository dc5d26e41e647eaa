"""One connection to a Valkey or Redis server, and the script that counts there."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from server.errors import SettingsError
from server.settings.store_url import StoreAddress, store_address
from server.tenancy.budget import MINUTE_S

if TYPE_CHECKING:
    from valkey.asyncio.connection import AbstractConnection

# Counts each key as a Budget counts in a process. A minute begins with its first request, by the store's clock; a
# negative count is taken back. Nothing else runs in the store meanwhile, so the count is exact.
_SCRIPT: Final = """
local answers = {}
for n = 1, #KEYS do
  local limit, count = tonumber(ARGV[2 * n - 1]), tonumber(ARGV[2 * n])
  local used = tonumber(redis.call('GET', KEYS[n]) or 0)
  answers[n] = 0
  if count < 0 then
    if used > 0 then redis.call('INCRBY', KEYS[n], count) end
  elseif used >= limit then
    answers[n] = math.max(1, redis.call('PTTL', KEYS[n]))
  elseif used > 0 then
    redis.call('INCRBY', KEYS[n], count)
  else
    redis.call('SET', KEYS[n], count, 'PX', tonumber(ARGV[#ARGV]))
  end
end
return answers
"""
# The braces keep all names in one slot where the server is part of a cluster.
PREFIX: Final = "{tenantgate}"
_WINDOW_MS: Final = int(MINUTE_S * 1_000)


class Spending(NamedTuple):
    """What to count for one key: `amount`, of a `limit` per minute; a negative amount is taken back."""

    key: str
    limit: int
    amount: int


class LimitStore:
    """The store of one process; the caller sets the time limits.

    Only this module imports the package `valkey`: a server without a store need not have it.
    """

    def __init__(self, url: str) -> None:
        """Prepare the connection; raises SettingsError when the package or a file that the URL names is missing."""
        address = store_address(url)
        self._password: Final = address.password
        self._connection: Final = _connection(address)
        self._script = ""

    async def connect(self) -> None:
        """Connect again and count once as a test; raise an error of the package or the system.

        This finds a server that is read-only, is full, or denies a command.
        """
        await self.disconnect()
        await self._connection.connect()
        self._script = str(await self._command("SCRIPT", "LOAD", _SCRIPT), "ascii")
        await self.count([Spending(f"{PREFIX}:trial", 1, 0)])

    async def count(self, spendings: Sequence[Spending]) -> list[int]:
        """Count all of them in one round trip.

        Return, for each, 0 or the milliseconds until its minute is over, in which case it was not counted.
        """
        numbers = [number for one in spendings for number in (one.limit, one.amount)]
        sent = (len(spendings), *(one.key for one in spendings), *numbers, _WINDOW_MS)
        return await self._command("EVALSHA", self._script, *sent)

    async def ping(self) -> None:
        """Check that the store still answers."""
        await self._command("PING")

    async def disconnect(self) -> None:
        """Close the connection without waiting for the other side; what was sent is not repeated."""
        await self._connection.disconnect(nowait=True)

    def cause(self, error: BaseException) -> str:
        """Return the error in a form that may be logged."""
        text = f"{type(error).__name__}: {error}".removesuffix(": ")
        return text.replace(self._password, "…") if self._password else text

    async def _command(self, *words: Any) -> Any:
        # The package has no types for what it reads.
        connection: Any = self._connection
        await connection.send_packed_command(connection.pack_command(*words), check_health=False)
        return await connection.read_response()


def _connection(address: StoreAddress) -> "AbstractConnection":
    try:
        from valkey.asyncio import connection
    except ImportError:
        raise SettingsError(
            "limits.store: the package valkey is not installed; install tenantgate[valkey], or leave limits.store out"
        ) from None
    # The caller sets time limits around whole exchanges; those of the package would cost a timer for each step.
    options: dict[str, Any] = {"db": address.database, "username": address.user, "password": address.password}
    options |= {"socket_timeout": None, "socket_connect_timeout": None, "lib_name": None, "lib_version": None}
    if address.path is not None:
        return connection.UnixDomainSocketConnection(path=address.path, **options)
    options |= {"host": address.host, "port": address.port, "socket_keepalive": True}
    if not address.is_tls:
        return connection.Connection(**options)
    # By default the package does not check the host name in the certificate.
    made = connection.SSLConnection(ssl_check_hostname=True, ssl_ca_certs=address.authorities, **options)
    try:
        # Once, before anything is served: this reads the files of all authorities.
        made.ssl_context.get()
    except OSError as error:
        raise SettingsError(
            f"limits.store: the file of ssl_ca_certs cannot be read as certificates ({error.strerror or error}); "
            "correct its path"
        ) from error
    return made
