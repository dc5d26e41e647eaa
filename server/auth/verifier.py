"""One bearer token to one AccessToken, or a refusal: signature, issuer, audience, times, kind, scopes."""

import hashlib
import math
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

import httpx2

from server.auth.access_token import AccessToken
from server.auth.jose import UnverifiedToken, parse_token, verify_signature
from server.auth.keys import FETCH_TIMEOUT_S, KeySet
from server.errors import TokenRefusedError
from server.settings import SCOPES, IssuerSettings, Settings

# For clocks that differ; expiry has none, for a client that renews in time never needs it.
LEEWAY_S: Final = 60
# How long a verified token is believed without looking at its key again; never beyond its expiry.
REMEMBERED_S: Final = 60
_REMEMBERED_TOKENS: Final = 10_000
_SUBJECT_CHARACTERS: Final = 255
# Claims that only ID tokens carry (OpenID Connect Core 1.0 sections 2 and 3.3.2.11).
_ID_TOKEN_CLAIMS: Final = frozenset({"at_hash", "c_hash", "nonce"})


class TokenVerifier:
    """Verifies the access tokens of the configured issuers, each by its own rules."""

    def __init__(self, settings: Settings) -> None:
        """Prepare one key set an issuer; nothing is fetched yet."""
        self._http: Final = httpx2.AsyncClient(timeout=FETCH_TIMEOUT_S, follow_redirects=False)
        self._resource: Final = settings.resource_url
        self._issuers: Final = {one.issuer: (one, KeySet(one, self._http)) for one in settings.issuers}
        self._remembered: Final = OrderedDict[bytes, tuple[float, AccessToken]]()

    async def close(self) -> None:
        """Close the connections to the issuers."""
        await self._http.aclose()

    async def verify(self, text: str) -> AccessToken:
        """Return what a valid token says.

        Raises TokenRefusedError for every bad token, and IssuerUnavailableError when its issuer's keys cannot be had.
        """
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
        remembered = self._remembered.get(digest)
        if remembered is not None and remembered[0] > time.time():
            return remembered[1]
        token = await self._verify(text)
        self._remembered[digest] = (min(token.expires_at, time.time() + REMEMBERED_S), token)
        if len(self._remembered) > _REMEMBERED_TOKENS:
            self._remembered.popitem(last=False)
        return token

    async def _verify(self, text: str) -> AccessToken:
        token = parse_token(text)
        # The issuer is only a claim so far; it selects which keys must have signed, and nothing else.
        named: Any = token.claims.get("iss")
        if not isinstance(named, str) or named not in self._issuers:
            raise TokenRefusedError("iss is not a configured issuer")
        issuer, keys = self._issuers[named]
        if token.algorithm not in issuer.algorithms:
            raise TokenRefusedError("alg is not accepted from this issuer")
        verify_signature(token, await keys.find(token.key_id))
        _check_kind(token, issuer)
        self._check_audience(token.claims, issuer)
        return AccessToken(
            issuer=issuer.issuer,
            subject=_subject(token.claims),
            client_id=_client_id(token.claims),
            scopes=_scopes(token.claims, issuer),
            expires_at=_check_times(token.claims, issuer, time.time()),
            claims=token.claims,
        )

    def _check_audience(self, claims: Mapping[str, Any], issuer: IssuerSettings) -> None:
        """Require that the token was made for this server (RFC 8707, RFC 9068 section 4)."""
        audience = claims.get("aud")
        if audience is None:
            # Cognito's access tokens have none; the client that they were issued to stands in for it.
            if claims.get("client_id") not in issuer.client_ids:
                raise TokenRefusedError("no aud, and client_id is not accepted")
            return
        audiences: Any = [audience] if isinstance(audience, str) else audience
        if not isinstance(audiences, list) or not all(isinstance(one, str) for one in cast("list[Any]", audiences)):
            raise TokenRefusedError("aud is malformed")
        if not {self._resource, *issuer.audiences} & set(cast("list[str]", audiences)):
            raise TokenRefusedError("aud is another server")


def _check_kind(token: UnverifiedToken, issuer: IssuerSettings) -> None:
    """Refuse ID tokens, tokens bound to a key that was not shown, and types that the issuer does not use."""
    if issuer.token_type is not None and token.type != issuer.token_type.lower():
        raise TokenRefusedError("typ is not the issuer's")
    if issuer.token_use is not None and token.claims.get("token_use") != issuer.token_use:
        raise TokenRefusedError("token_use is not the issuer's")
    if _ID_TOKEN_CLAIMS & token.claims.keys() or token.claims.get("token_use") == "id":
        raise TokenRefusedError("an ID token is not an access token")
    # RFC 7800: a sender-constrained token sent as a plain bearer is a stolen one.
    if "cnf" in token.claims:
        raise TokenRefusedError("the token is bound to a key")


def _check_times(claims: Mapping[str, Any], issuer: IssuerSettings, now: float) -> int:
    """Return the expiry, in seconds since the epoch."""
    expiry = _time(claims, "exp")
    issued, not_before = _time(claims, "iat", now), _time(claims, "nbf", now)
    if expiry <= now:
        raise TokenRefusedError("expired")
    if issued > now + LEEWAY_S or not_before > now + LEEWAY_S:
        raise TokenRefusedError("not valid yet")
    if expiry - issued > issuer.max_lifetime_s:
        raise TokenRefusedError("lives longer than this issuer's tokens may")
    return int(expiry)


def _time(claims: Mapping[str, Any], name: str, default: float | None = None) -> float:
    value = claims.get(name, default)
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not 0 < value < 2**53
        or not math.isfinite(value)
    ):
        raise TokenRefusedError(f"{name} is missing or not a time")
    return value


def _subject(claims: Mapping[str, Any]) -> str:
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= _SUBJECT_CHARACTERS or not subject.isprintable():
        raise TokenRefusedError("sub is missing or malformed")
    return subject


def _client_id(claims: Mapping[str, Any]) -> str | None:
    """Return the client: `client_id` (RFC 9068), `azp` (OpenID Connect, Entra ID) or `cid` (Okta)."""
    return next((value for name in ("client_id", "azp", "cid") if isinstance(value := claims.get(name), str)), None)


def _scopes(claims: Mapping[str, Any], issuer: IssuerSettings) -> frozenset[str]:
    """Return our scopes that the token grants under the issuer's names: `scope` (RFC 8693) or `scp` (Entra, Okta)."""
    granted: set[str] = set()
    for name in ("scope", "scp"):
        value: Any = claims.get(name, ())
        words = value.split(" ") if isinstance(value, str) else value
        if isinstance(words, Sequence):
            granted |= {word for word in cast("Sequence[Any]", words) if isinstance(word, str)}
    return frozenset(
        {ours for ours in SCOPES if granted.intersection(issuer.names_of(ours))} | {*issuer.scopes_granted}
    )
