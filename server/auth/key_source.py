"""Fetch one issuer's key set, within limits and from the configured address, and keep the keys that may verify."""

import json
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final, cast
from urllib.parse import urlsplit

import httpx2
import structlog

from server.auth.public_key import SECRETS, PublicKey
from server.settings import IssuerSettings, is_https_or_loopback

MAXIMUM_BYTES: Final = 131_072
MAXIMUM_KEYS: Final = 64
# The errors of a failed fetch; any other error is a defect of this server.
FETCH_ERRORS: Final = (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError, ValueError, RecursionError)
_DISCOVERY: Final = "/.well-known/openid-configuration"
_SHOWN_CHARACTERS: Final = 200
Keys = Mapping[str | None, tuple[PublicKey, ...]]
_log: Final = structlog.get_logger("keys")


@dataclass(frozen=True, slots=True)
class Fetched:
    """The keys that may verify, by id; at most one for each id and algorithm.

    None is the id of keys without one, and of a single key; an id whose keys may not verify has no key.
    `clock_ahead_s` is how far this server's clock is ahead of the issuer's; None when the issuer did not send a date.
    """

    keys: Keys
    clock_ahead_s: float | None


class KeySource:
    """Fetches the key set of one issuer; `asked` is the URL that was requested last."""

    def __init__(self, issuer: IssuerSettings, http: httpx2.AsyncClient) -> None:
        """Fetch with `http`."""
        self._issuer: Final = issuer
        self._http: Final = http
        self._clock_ahead_s: float | None = None
        self.asked = ""

    async def fetch(self) -> Fetched:
        """Return the key set, or raise one of FETCH_ERRORS."""
        return Fetched(self._usable(await self._get(await self._address())), self._clock_ahead_s)

    async def _address(self) -> str:
        if self._issuer.jwks_url:
            return self._issuer.jwks_url
        # OpenID Connect Discovery 1.0 section 4; Cognito has no RFC 8414 document.
        document = await self._get(self._issuer.issuer.rstrip("/") + _DISCOVERY)
        address, named = document.get("jwks_uri"), document.get("issuer")
        if named != self._issuer.issuer:
            raise ValueError(
                f"the discovery document names another issuer: {str(named)[:_SHOWN_CHARACTERS]}; correct issuer"
            )
        if not isinstance(address, str) or not is_https_or_loopback(address):
            raise ValueError("the discovery document has no jwks_uri with https; set jwks_url")
        # An issuer on another machine must not send this server to a service on its own machine.
        if urlsplit(address).scheme != "https" and urlsplit(self._issuer.issuer).scheme == "https":
            raise ValueError("the jwks_uri of the discovery document is not https; set jwks_url")
        return address

    async def _get(self, url: str) -> dict[str, Any]:
        """Return a small JSON object; raise ValueError for anything else. Redirects are not followed."""
        self.asked = url
        # Uncompressed: the size that is counted must be the size that is parsed. A compressed answer is not parsed.
        headers = {"accept": "application/json", "accept-encoding": "identity"}
        async with self._http.stream("GET", url, headers=headers) as response:
            self._clock_ahead_s = _clock_ahead_s(response.headers)
            if response.status_code != 200:
                raise ValueError(_refused(response, url))
            body = bytearray()
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > MAXIMUM_BYTES:
                    raise ValueError("answer too large")
        value = json.loads(body)
        if not isinstance(value, dict):
            raise ValueError("not a JSON object")  # noqa: TRY004  # a ValueError is what callers handle
        return cast("dict[str, Any]", value)

    def _usable(self, document: Mapping[str, Any]) -> Keys:
        """Return the keys that may verify; raise ValueError when there are none, so that the last good set is kept."""
        listed = document.get("keys")
        if not isinstance(listed, list) or len(cast("list[Any]", listed)) > MAXIMUM_KEYS:
            raise ValueError("no acceptable list of keys in the key set")
        jwks = [cast("dict[str, Any]", jwk) for jwk in cast("list[Any]", listed) if isinstance(jwk, dict)]
        # Anybody who reads the set could sign with a published secret; a key with the same id may be its public half.
        published = [jwk.get("kid") for jwk in jwks if SECRETS & jwk.keys()]
        found = [key for jwk in jwks if (key := PublicKey.from_jwk(jwk)) and key.key_id not in published]
        times = Counter((key.key_id, algorithm) for key in found for algorithm in key.algorithms)
        # When two keys have one id and algorithm, neither is used: nothing says which one is meant.
        meant = [key for key in found if all(times[key.key_id, one] == 1 for one in key.algorithms)]
        for key_id in {key.key_id for key in found} - {key.key_id for key in meant}:
            shown = (key_id or "")[:_SHOWN_CHARACTERS]
            _log.warning(
                "several keys have the same id and algorithm; none of them is used",
                issuer=self._issuer.issuer,
                kid=shown,
            )
        if not meant:
            raise ValueError("no usable key in the key set")
        ids = {key_id for jwk in jwks if isinstance(key_id := jwk.get("kid"), str | None)}
        keys = {key_id: tuple(key for key in meant if key.key_id == key_id) for key_id in ids}
        # OpenID Connect Core 1.0 section 10.1: where the issuer has a single key, tokens may leave out its id.
        return keys if len(meant) > 1 else {**keys, None: tuple(meant)}


def _refused(response: httpx2.Response, url: str) -> str:
    """Return what a status other than 200 means, and what to correct."""
    wrong = "`issuer` or set `jwks_url`" if url.endswith(_DISCOVERY) else "`jwks_url`"
    problem = f"status {response.status_code}; correct {wrong}; asked: {url}"
    if not response.has_redirect_location:
        return problem
    return f"{problem}; it redirects to {response.headers['location'][:_SHOWN_CHARACTERS]}, which is not followed"


def _clock_ahead_s(headers: Mapping[str, str]) -> float | None:
    """Return how far this clock is ahead of the clock that wrote `Date` (RFC 9110 section 6.6.1)."""
    try:
        # RFC 9111 section 5.1: how long the answer was in a cache.
        aged = parsedate_to_datetime(headers["date"]).timestamp() + int(headers.get("age", "0"))
    except (KeyError, ValueError, OverflowError):
        return None
    return time.time() - aged
