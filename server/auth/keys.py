"""One issuer's key set: fetched, filtered, cached, rotated; never fetched because a token asks for it."""

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any, Final, cast

import anyio
import httpx2
import structlog

from server.auth.jose import PublicKey
from server.errors import IssuerUnavailableError, TokenRefusedError
from server.settings import IssuerSettings, is_https_or_loopback

FETCH_TIMEOUT_S: Final = 3.0
MAXIMUM_BYTES: Final = 262_144
# A set this old is fetched again, behind the request that notices.
REFRESH_AFTER_S: Final = 300.0
# Unknown key ids cause one fetch in this time at most, whoever sends them.
COOLDOWN_S: Final = 5.0
# With the endpoint down, keys are believed for this long and no longer.
MAXIMUM_AGE_S: Final = 86_400.0
_MINIMUM_RSA_BITS: Final = 2_048
_CURVES: Final = {"EC": {"P-256", "P-384", "P-521"}, "OKP": {"Ed25519"}}
_log: Final = structlog.get_logger("keys")


class KeySet:
    """The public keys of one issuer."""

    def __init__(self, issuer: IssuerSettings, http: httpx2.AsyncClient) -> None:
        """Fetch with `http`, on first use."""
        self._issuer: Final = issuer
        self._http: Final = http
        self._keys: Mapping[str, PublicKey] = {}
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        self._failed = False
        self._fetching = asyncio.Lock()
        self._refresh: asyncio.Task[None] | None = None

    async def find(self, key_id: str) -> PublicKey:
        """Return the key with this id.

        Raises TokenRefusedError when the issuer has no such key, and IssuerUnavailableError when that cannot be known.
        """
        now = time.monotonic()
        usable = now - self._fetched_at < MAXIMUM_AGE_S
        if usable and (key := self._keys.get(key_id)):
            if now - self._fetched_at > REFRESH_AFTER_S and now - self._tried_at > COOLDOWN_S:
                self._refresh = asyncio.create_task(self._fetch_once(self._tried_at))
            return key
        await self._fetch_once(self._tried_at)
        key = self._keys.get(key_id)
        if key is not None and time.monotonic() - self._fetched_at < MAXIMUM_AGE_S:
            return key
        if self._failed:
            raise IssuerUnavailableError(self._issuer.issuer)
        raise TokenRefusedError("the issuer has no such key")

    async def _fetch_once(self, seen: float) -> None:
        """Fetch unless another request has just done so, or the cooldown still runs."""
        async with self._fetching:
            if self._tried_at != seen or time.monotonic() - self._tried_at < COOLDOWN_S:
                return
            self._tried_at = time.monotonic()
            try:
                with anyio.fail_after(FETCH_TIMEOUT_S):
                    keys = _usable_keys(await self._get(await self._address()))
                self._keys, self._fetched_at, self._failed = keys, time.monotonic(), False
            except (httpx2.HTTPError, TimeoutError, ValueError, RecursionError) as error:
                self._failed = True
                _log.error(
                    "key set not fetched; the last good one is kept", issuer=self._issuer.issuer, cause=repr(error)
                )

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
        return address

    async def _get(self, url: str) -> dict[str, Any]:
        """Return a small JSON object; raise ValueError for anything else. Redirects are not followed."""
        async with self._http.stream("GET", url, headers={"accept": "application/json"}) as response:
            if response.status_code != 200:
                raise ValueError(f"status {response.status_code}")
            body = bytearray()
            async for chunk in response.aiter_bytes():
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
    if not isinstance(listed, list):
        raise ValueError("no `keys` in the key set")  # noqa: TRY004
    keys: dict[str, PublicKey] = {}
    repeated: set[str] = set()
    for jwk in cast("list[Any]", listed):
        key = _usable_key(jwk)
        if key is not None:
            key_id = key.jwk["kid"]
            repeated |= {key_id} & keys.keys()
            keys[key_id] = key
    # Two keys under one id: which one is meant is anyone's guess, so neither is.
    for key_id in repeated:
        del keys[key_id]
    if not keys:
        raise ValueError("no usable key in the key set")
    return keys


def _usable_key(jwk: Any) -> PublicKey | None:
    """Return a public signature key that is strong enough (RFC 7517 section 4), else None."""
    if not isinstance(jwk, dict):
        return None
    jwk = cast("dict[str, Any]", jwk)
    kind, algorithm = jwk.get("kty"), jwk.get("alg")
    operations = jwk.get("key_ops", ["verify"])
    public = "d" not in jwk and isinstance(jwk.get("kid"), str) and isinstance(operations, list)
    if not public or jwk.get("use", "sig") != "sig" or "verify" not in operations:
        return None
    if kind == "RSA" and _bits(jwk.get("n")) < _MINIMUM_RSA_BITS:
        return None
    if kind != "RSA" and jwk.get("crv") not in _CURVES.get(str(kind), ()):
        return None
    return PublicKey(jwk, str(kind), algorithm if isinstance(algorithm, str) else None)


def _bits(modulus: Any) -> int:
    return len(modulus) * 6 if isinstance(modulus, str) else 0
