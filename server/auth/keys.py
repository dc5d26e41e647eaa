"""One issuer's key set: cached, rotated, and fetched again when a token names an unknown key.

A key that its issuer removed is trusted for at most STALE_AFTER_S while the endpoint answers, and for at most
MAXIMUM_AGE_S while it does not.
"""

import asyncio
import math
import time
from typing import Final

import anyio
import httpx2
import structlog

from server.auth.key_source import FETCH_ERRORS, Keys, KeySource
from server.auth.public_key import PublicKey
from server.auth.times import NOTICED_S, clocks
from server.errors import IssuerUnavailableError, KeyNotYetKnownError, TokenRefusedError
from server.settings import IssuerSettings

FETCH_TIMEOUT_S: Final = 3.0
# After REFRESH_AFTER_S the set is fetched in the background; after STALE_AFTER_S, before it is used.
REFRESH_AFTER_S: Final = 300.0
STALE_AFTER_S: Final = 600.0
# Unknown key ids cause at most one fetch in this time, no matter who sends them.
COOLDOWN_S: Final = 5.0
# A key id that the issuer did not have causes no fetch for this long, then twice as long each time, up to the
# longest: one outdated client must not use up the cooldown, and a key that is published late must be found soon.
ABSENT_S: Final = 5.0
LONGEST_ABSENT_S: Final = 30.0
# While the endpoint is down, keys are trusted for at most this long.
MAXIMUM_AGE_S: Final = 86_400.0
_ABSENT_KEPT: Final = 1_024
_CAUSE_CHARACTERS: Final = 500
_log: Final = structlog.get_logger("keys")


class KeySet:
    """The public keys of one issuer.

    `generation` changes whenever they do; `clock_ahead_s` is how far this server's clock was ahead of the issuer's
    at the last fetch, None when that is not known.
    """

    def __init__(self, issuer: IssuerSettings, http: httpx2.AsyncClient) -> None:
        """Fetch with `http`, on first use."""
        self.generation = 0
        self.clock_ahead_s: float | None = None
        # Attempts to fetch the set, and how many of them failed.
        self.attempts = 0
        self.failures = 0
        self._issuer: Final = issuer.issuer
        self._place: Final = (issuer.issuer, issuer.jwks_url)
        self._source: Final = KeySource(issuer, http)
        self._keys: Keys = {}
        # For each absent key id: until when it is not looked for, and for how long that was.
        self._absent: Final = dict[str | None, tuple[float, float]]()
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        self._failed = False
        self._fetching: Final = asyncio.Lock()
        self._refresh: asyncio.Task[None] | None = None

    async def find(self, key_id: str | None, algorithm: str, *, newer_than: int | None = None) -> PublicKey:
        """Return the key with this id for this algorithm; None is the id of a key without one.

        `newer_than` is a generation whose key did not verify. Raises TokenRefusedError when the issuer has no such key,
        KeyNotYetKnownError when it had none a moment ago, and IssuerUnavailableError when the issuer does not answer.
        """
        now, seen = time.monotonic(), self.attempts
        keys, age = self._usable(key_id, now, newer_than), now - self._fetched_at
        if keys is not None and (age < STALE_AFTER_S or self._failed):
            if age > REFRESH_AFTER_S:
                self._fetch_behind()
            return self._one_of(keys, algorithm)
        if key_id is None and newer_than is None and age < STALE_AFTER_S:
            raise TokenRefusedError("kid is missing, and the issuer has several keys")
        wait_s = self._absent.get(key_id, (now, 0.0))[0] - now
        if wait_s <= 0:
            await self._fetch_once(seen)
            wait_s = COOLDOWN_S - (time.monotonic() - self._tried_at)
        keys = self._usable(key_id, time.monotonic(), newer_than)
        if keys is not None:
            return self._one_of(keys, algorithm)
        if self._failed:
            raise IssuerUnavailableError(self._issuer)
        if self.attempts == seen:
            # The key set was not fetched again since the key was missing: the issuer may have published it by now.
            raise KeyNotYetKnownError(self._issuer, max(1, math.ceil(wait_s)))
        self._remember_absent(key_id)
        raise TokenRefusedError("the issuer has no such key")

    async def replace(self, former: "KeySet") -> None:
        """Fetch the keys now; if that fails, take those of `former` if they come from the same place."""
        await self._fetch_once(self.attempts)
        if self._failed and former._place == self._place:  # noqa: SLF001  # another of its kind
            self._keys, self._fetched_at = former._keys, former._fetched_at  # noqa: SLF001
            self.clock_ahead_s = former.clock_ahead_s

    @property
    def age_s(self) -> float | None:
        """How long ago the set was fetched, None before the first time."""
        return None if math.isinf(self._fetched_at) else time.monotonic() - self._fetched_at

    async def close(self) -> None:
        """End a fetch that is still running."""
        if self._refresh is not None:
            self._refresh.cancel()
            await asyncio.wait([self._refresh])

    def _usable(self, key_id: str | None, now: float, newer_than: int | None) -> tuple[PublicKey, ...] | None:
        if now - self._fetched_at >= MAXIMUM_AGE_S or self.generation == newer_than:
            return None
        return self._keys.get(key_id)

    def _one_of(self, keys: tuple[PublicKey, ...], algorithm: str) -> PublicKey:
        """Return the one of `keys` for `algorithm`; the key set has at most one."""
        found = next((key for key in keys if algorithm in key.algorithms), None)
        if found is None:
            raise TokenRefusedError("the issuer's key of this id may not verify this algorithm")
        return found

    def _remember_absent(self, key_id: str | None) -> None:
        _, waited_s = self._absent.pop(key_id, (0.0, 0.0))
        if len(self._absent) >= _ABSENT_KEPT:
            self._absent.clear()
        wait_s = min(2 * waited_s, LONGEST_ABSENT_S) or ABSENT_S
        self._absent[key_id] = (time.monotonic() + wait_s, wait_s)

    def _fetch_behind(self) -> None:
        running = self._refresh is not None and not self._refresh.done()
        if not running and time.monotonic() - self._tried_at > COOLDOWN_S:
            self._refresh = asyncio.create_task(self._fetch_once(self.attempts))

    async def _fetch_once(self, seen: int) -> None:
        """Fetch, unless another request did so since `seen` attempts or the cooldown is not over."""
        async with self._fetching:
            if self.attempts != seen or time.monotonic() - self._tried_at < COOLDOWN_S:
                return
            self._tried_at = time.monotonic()
            try:
                with anyio.fail_after(FETCH_TIMEOUT_S):
                    fetched = await self._source.fetch()
            except FETCH_ERRORS as error:
                self._failed = True
                self.failures += 1
                cause = repr(error)[:_CAUSE_CHARACTERS]
                _log.error(
                    "key set not fetched; the last good one is kept",
                    issuer=self._issuer,
                    url=self._source.asked,
                    cause=cause,
                )
                return
            finally:
                self.attempts += 1
            # With the same keys, verified tokens stay verified, so a flood of unknown key ids slows nobody down.
            self.generation += fetched.keys != self._keys
            self._keys, self._fetched_at, self._failed = fetched.keys, time.monotonic(), False
            self._compare_clocks(fetched.clock_ahead_s)

    def _compare_clocks(self, ahead_s: float | None) -> None:
        """Warn the operator before a token is refused because of the clocks."""
        self.clock_ahead_s = ahead_s
        if ahead_s is not None and abs(ahead_s) >= NOTICED_S:
            _log.warning("the clocks differ; correct the one that is wrong", issuer=self._issuer, cause=clocks(ahead_s))
