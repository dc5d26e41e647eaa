"""One bearer token to one AccessToken, or a refusal: signature, issuer, audience, times, kind, scopes."""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import httpx2

from server.auth.access_token import AccessToken, client_of, token_id_of
from server.auth.addresses import TenantAddresses
from server.auth.jose import MAXIMUM_TOKEN_CHARACTERS, parse_claims, parse_signature, verify_signature
from server.auth.keys import FETCH_TIMEOUT_S, KeySet
from server.auth.scopes import granted_scopes
from server.errors import TokenRefusedError
from server.settings import IssuerSettings, Settings

# For clocks that differ; expiry has none, for a client that renews in time never needs it.
LEEWAY_S: Final = 60
# How long a verified token is believed without looking at its key again; never beyond its expiry, and not after its
# issuer's keys were fetched anew.
REMEMBERED_S: Final = 60
_REMEMBERED_TOKENS: Final = 10_000
_SUBJECT_CHARACTERS: Final = 255
# Claims that only ID tokens carry (OpenID Connect Core 1.0 sections 2 and 3.3.2.11), and those of which an access
# token has at least one: what it grants, or to which client.
_ID_TOKEN_CLAIMS: Final = frozenset({"at_hash", "c_hash", "nonce"})
_ACCESS_TOKEN_CLAIMS: Final = frozenset({"scope", "scp", "client_id", "cid", "roles", "permissions"})


@dataclass(frozen=True, slots=True)
class _Audience:
    """At which addresses of this server a token is good: at all of them, or at those of some tenants."""

    everywhere: bool
    tenants: frozenset[str]

    def admits(self, tenant: str | None) -> bool:
        return self.everywhere or tenant in self.tenants


@dataclass(frozen=True, slots=True)
class _Remembered:
    until: float
    keys: KeySet
    generation: int
    token: AccessToken
    # Judged anew for each request: one token is remembered once, whatever address it is sent to.
    audience: _Audience

    @property
    def holds(self) -> bool:
        return self.until > time.time() and self.generation == self.keys.generation


class TokenVerifier:
    """Verifies the access tokens of the configured issuers, each by its own rules."""

    def __init__(self, settings: Settings, scopes: tuple[str, ...]) -> None:
        """Prepare one key set per issuer; nothing is fetched yet. `scopes` are those that the tools ask for."""
        self._scopes: Final = scopes
        self._http: Final = httpx2.AsyncClient(timeout=FETCH_TIMEOUT_S, follow_redirects=False)
        self._resource: Final = settings.resource_url
        self._addresses: Final = TenantAddresses(settings)
        self._issuers: Final = {one.issuer: (one, KeySet(one, self._http)) for one in settings.issuers}
        self._remembered: Final = OrderedDict[bytes, _Remembered]()

    async def close(self) -> None:
        """End the fetches and close the connections to the issuers."""
        for _, keys in self._issuers.values():
            await keys.close()
        await self._http.aclose()

    async def verify(self, text: str, asked: str | None = None) -> AccessToken:
        """Return what a valid token says; `asked` is the last part of a tenant's address, as the caller wrote it.

        Raises TokenRefusedError for every bad token, and IssuerUnavailableError when its issuer's keys cannot be had.
        """
        if len(text) > MAXIMUM_TOKEN_CHARACTERS:
            raise TokenRefusedError("too long")
        # The digest, not the token: what is remembered cannot be sent to anyone.
        digest = hashlib.sha256(text.encode()).digest()
        kept = self._remembered.get(digest)
        remembered = kept if kept is not None and kept.holds else await self._verify(text)
        if not remembered.audience.admits(None if asked is None else self._addresses.tenant(asked)):
            raise _signed_by(remembered.token.issuer, TokenRefusedError("aud is another tenant's address"))
        if remembered is not kept:
            self._remembered[digest] = remembered
            if len(self._remembered) > _REMEMBERED_TOKENS:
                self._remembered.popitem(last=False)
        return remembered.token

    async def _verify(self, text: str) -> _Remembered:
        signed = parse_signature(text)
        claims = parse_claims(signed.payload)
        # The issuer is only a claim so far; it selects which keys must have signed, and nothing else.
        named: Any = claims.get("iss")
        if not isinstance(named, str) or named not in self._issuers:
            raise TokenRefusedError("iss is not a configured issuer")
        issuer, keys = self._issuers[named]
        if signed.algorithm not in issuer.algorithms:
            raise TokenRefusedError("alg is not accepted from this issuer")
        verify_signature(signed, await keys.find(signed.key_id))
        try:
            return self._judged(signed.type, claims, issuer, keys)
        except TokenRefusedError as error:
            raise _signed_by(named, error) from error.__cause__

    def _judged(self, kind: str | None, claims: Mapping[str, Any], issuer: IssuerSettings, keys: KeySet) -> _Remembered:
        """Judge the claims, which the issuer has signed."""
        now = time.time()
        _check_kind(kind, claims, issuer)
        audience = self._audience(claims, issuer)
        token = AccessToken(
            issuer=issuer.issuer,
            subject=_subject(claims),
            client_id=client_of(claims),
            scopes=granted_scopes(claims, issuer, self._scopes),
            expires_at=_check_times(claims, issuer, now),
            claims=claims,
            token_id=token_id_of(claims),
        )
        return _Remembered(min(token.expires_at, now + REMEMBERED_S), keys, keys.generation, token, audience)

    def _audience(self, claims: Mapping[str, Any], issuer: IssuerSettings) -> _Audience:
        """Require that the token was made for this server, alone or among others (RFC 8707, RFC 9068 section 4)."""
        if "aud" not in claims:
            # Cognito's access tokens have none; the client that they were issued to stands in for it.
            if claims.get("client_id") not in issuer.client_ids:
                raise TokenRefusedError("no aud, and client_id is not accepted")
            return _Audience(everywhere=True, tenants=frozenset())
        audience: Any = claims["aud"]
        audiences = cast("list[Any]", audience) if isinstance(audience, list) else [audience]
        if not all(isinstance(one, str) for one in audiences):
            raise TokenRefusedError("aud is malformed")
        of_tenants = {one: tenant for one in audiences if (tenant := self._addresses.tenant_of(one)) is not None}
        # A tenant's address is never good for another's, even where the settings list it among `audiences`.
        everywhere = bool(({self._resource, *issuer.audiences} & set(audiences)) - of_tenants.keys())
        if not everywhere and not of_tenants:
            raise TokenRefusedError("aud is another server")
        return _Audience(everywhere, frozenset(of_tenants.values()))


def _signed_by(issuer: str, error: TokenRefusedError) -> TokenRefusedError:
    error.issuer = issuer
    return error


def _check_kind(kind: str | None, claims: Mapping[str, Any], issuer: IssuerSettings) -> None:
    """Refuse ID tokens, tokens bound to a key that was not shown, and types that the issuer does not use."""
    if issuer.token_type is not None and kind != issuer.token_type.lower().removeprefix("application/"):
        raise TokenRefusedError("typ is not the issuer's")
    if issuer.token_use is not None and claims.get("token_use") != issuer.token_use:
        raise TokenRefusedError("token_use is not the issuer's")
    if _ID_TOKEN_CLAIMS & claims.keys() or claims.get("token_use") == "id":
        raise TokenRefusedError("an ID token is not an access token")
    if kind != "at+jwt" and not _ACCESS_TOKEN_CLAIMS & claims.keys():
        raise TokenRefusedError("nothing shows that this is an access token")
    # RFC 7800: a sender-constrained token sent as a plain bearer is a stolen one.
    if "cnf" in claims:
        raise TokenRefusedError("the token is bound to a key")


def _check_times(claims: Mapping[str, Any], issuer: IssuerSettings, now: float) -> int:
    """Return the expiry, in seconds since the epoch."""
    expiry = _time(claims, "exp")
    # Without `iat` the whole lifetime counts from now, so that it is bounded all the same.
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
    # Infinity fails the comparison; the parser lets no NaN in.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 2**53:
        raise TokenRefusedError(f"{name} is missing or not a time")
    return value


def _subject(claims: Mapping[str, Any]) -> str:
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= _SUBJECT_CHARACTERS:
        raise TokenRefusedError("sub is missing or malformed")
    # ASCII, as OpenID Connect Core 1.0 section 2 has it: the database takes a context of 1 KB.
    if not subject.isascii() or not subject.isprintable():
        raise TokenRefusedError("sub is missing or malformed")
    return subject
