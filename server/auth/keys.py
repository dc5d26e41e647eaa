"""One issuer's key set: fetched, filtered, cached, rotated; never fetched from where a token says.

How long a key is believed after its issuer has removed it: STALE_AFTER_S while the endpoint answers, MAXIMUM_AGE_S
while it does not.
"""

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any, Final, cast
from urllib.parse import urlsplit

import anyio
import httpx2
import structlog

from server.auth.public_key import PublicKey
from server.errors import IssuerUnavailableError, TokenRefusedError
from server.settings import IssuerSettings, is_https_or_loopback

FETCH_TIMEOUT_S: Final = 3.0
MAXIMUM_BYTES: Final = 131_072
MAXIMUM_KEYS: Final = 64
# A set this old is fetched again, behind the request that notices; a set older than that, before it is used.
REFRESH_AFTER_S: Final = 300.0
STALE_AFTER_S: Final = 600.0
# Unknown key ids cause one fetch in this time at most, whoever sends them.
COOLDOWN_S: Final = 5.0
# A key id that the issuer did not have causes none for this long: one stale client must not use up the cooldown.
ABSENT_S: Final = 30.0
# With the endpoint down, keys are believed for this long and no longer.
MAXIMUM_AGE_S: Final = 86_400.0
_ABSENT_KEPT: Final = 1_024
_CAUSE_CHARACTERS: Final = 200
_log: Final = structlog.get_logger("keys")


class KeySet:
    """The public keys of one issuer; `generation` changes whenever they are fetched."""

    def __init__(self, issuer: IssuerSettings, http: httpx2.AsyncClient) -> None:
        """Fetch with `http`, on first use."""
        self.generation = 0
        self._issuer: Final = issuer
        self._http: Final = http
        self._keys: Mapping[str, PublicKey] = {}
        self._absent: Final = dict[str, float]()
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        self._attempts = 0
        self._failed = False
        self._fetching: Final = asyncio.Lock()
        self._refresh: asyncio.Task[None] | None = None

    async def find(self, key_id: str) -> PublicKey:
        """Return the key with this id.

        Raises TokenRefusedError when the issuer has no such key, and IssuerUnavailableError when that cannot be known.
        """
        now, seen = time.monotonic(), self._attempts
        key, age = self._usable(key_id, now), now - self._fetched_at
        if key is not None and (age < STALE_AFTER_S or self._failed):
            if age > REFRESH_AFTER_S:
                self._fetch_behind()
            return key
        if key is None and self._absent.get(key_id, now) > now:
            raise TokenRefusedError("the issuer has no such key")
        await self._fetch_once(seen)
        key = self._usable(key_id, time.monotonic())
        if key is not None:
            return key
        if self._failed:
            raise IssuerUnavailableError(self._issuer.issuer)
        if self._attempts != seen:
            self._remember_absent(key_id)
        raise TokenRefusedError("the issuer has no such key")

    async def close(self) -> None:
        """End a fetch that is still running."""
        if self._refresh is not None:
            self._refresh.cancel()
            await asyncio.wait([self._refresh])

    def _usable(self, key_id: str, now: float) -> PublicKey | None:
        return self._keys.get(key_id) if now - self._fetched_at < MAXIMUM_AGE_S else None

    def _remember_absent(self, key_id: str) -> None:
        if len(self._absent) >= _ABSENT_KEPT:
            self._absent.clear()
        self._absent[key_id] = time.monotonic() + ABSENT_S

    def _fetch_behind(self) -> None:
        running = self._refresh is not None and not self._refresh.done()
        if not running and time.monotonic() - self._tried_at > COOLDOWN_S:
            self._refresh = asyncio.create_task(self._fetch_once(self._attempts))

    async def _fetch_once(self, seen: int) -> None:
        """Fetch unless another request has done so since `seen` attempts, or the cooldown still runs."""
        async with self._fetching:
            if self._attempts != seen or time.monotonic() - self._tried_at < COOLDOWN_S:
                return
            self._tried_at = time.monotonic()
            try:
                with anyio.fail_after(FETCH_TIMEOUT_S):
                    keys = _usable_keys(await self._get(await self._address()))
            except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError, ValueError, RecursionError) as error:
                self._failed = True
                cause = repr(error)[:_CAUSE_CHARACTERS]
                _log.error("key set not fetched; the last good one is kept", issuer=self._issuer.issuer, cause=cause)
                return
            finally:
                self._attempts += 1
            self._keys, self._fetched_at, self._failed = keys, time.monotonic(), False
            self.generation += 1
            self._absent.clear()

    async def _address(self) -> str:
        if self._issuer.jwks_url:
            return self._issuer.jwks_url
        # OpenID Connect Discovery 1.0 section 4; Cognito has no RFC 8414 document.
        document = await self._get(f"{self._issuer.issuer.rstrip('/')}/.well-known/openid-configuration")
        address = document.get("jwks_uri")
        if document.get("issuer") != self._issuer.issuer:
            raise ValueError("the discovery document names another issuer")
        if not isinstance(address, str) or not is_https_or_loopback(address):
            raise ValueError("the discovery document names no https key set")
        # An issuer elsewhere must not send this server to a service on its own machine.
        if urlsplit(address).scheme != "https" and urlsplit(self._issuer.issuer).scheme == "https":
            raise ValueError("the discovery document names a key set that is not https")
        return address

    async def _get(self, url: str) -> dict[str, Any]:
        """Return a small JSON object; raise ValueError for anything else. Redirects are not followed."""
        # Uncompressed, so that the size that is counted is the size that is parsed; a compressed answer is no JSON.
        headers = {"accept": "application/json", "accept-encoding": "identity"}
        async with self._http.stream("GET", url, headers=headers) as response:
            if response.status_code != 200:
                raise ValueError(f"status {response.status_code}; correct `issuer` or set `jwks_url`; asked: {url}")
            body = bytearray()
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > MAXIMUM_BYTES:
                    raise ValueError("answer too large")
        value = json.loads(body)
        if not isinstance(value, dict):
            raise ValueError("not a JSON object")  # noqa: TRY004  # a ValueError is what callers handle
        return cast("dict[str, Any]", value)


def _usable_keys(document: Mapping[str, Any]) -> dict[str, PublicKey]:
    """Return the keys that may verify, by id; raise ValueError when none may, so that the last good set is kept."""
    listed = document.get("keys")
    if not isinstance(listed, list) or len(cast("list[Any]", listed)) > MAXIMUM_KEYS:
        raise ValueError("no acceptable list of keys in the key set")
    jwks = [cast("dict[str, Any]", jwk) for jwk in cast("list[Any]", listed) if isinstance(jwk, dict)]
    names = [jwk.get("kid") for jwk in jwks]
    # Two keys under one id: which one is meant is anyone's guess, so neither is.
    found = [PublicKey.from_jwk(jwk) for jwk in jwks if names.count(jwk.get("kid")) == 1]
    keys = {key.key_id: key for key in found if key is not None}
    if not keys:
        raise ValueError("no usable key in the key set")
    return keys
