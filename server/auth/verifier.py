"""Verify a bearer token and return an AccessToken, or refuse: signature, issuer, audience, times, kind, scopes."""

import asyncio
import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx2

from server.auth.access_token import AccessToken, client_of, is_client, names_along, token_id_of
from server.auth.addresses import TenantAddresses
from server.auth.audience import audience_of
from server.auth.jose import (
    MAXIMUM_TOKEN_CHARACTERS,
    CompactSignature,
    parse_claims,
    parse_signature,
    verify_signature,
)
from server.auth.keys import FETCH_TIMEOUT_S, KeySet
from server.auth.kinds import check_kind
from server.auth.proofs import check_proof
from server.auth.remembered import RememberedTokens, Verified
from server.auth.scopes import granted_scopes
from server.auth.times import check_times
from server.auth.used_proofs import UsedProofs
from server.errors import ProofRefusedError, TokenRefusedError, TokenTooLongError
from server.settings import IssuerSettings, Settings

# How long a verified token is trusted without checking its key again; never after its expiry, nor after its
# issuer's keys have changed.
REMEMBERED_S: Final = 60
_SUBJECT_CHARACTERS: Final = 255


@dataclass(frozen=True, slots=True)
class _Issuer:
    """One issuer: its rules, its keys, and the names of the claims that are kept after verification."""

    settings: IssuerSettings
    keys: KeySet
    read: frozenset[str]


class TokenVerifier:
    """Verifies the access tokens of the configured issuers, each by its own rules."""

    def __init__(self, settings: Settings, scopes: tuple[str, ...], used_proofs: UsedProofs | None = None) -> None:
        """Prepare one key set per issuer; nothing is fetched yet. `scopes` are those that the tools require.

        `used_proofs` are those of the verifier that this one replaces.
        """
        self._scopes: Final = scopes
        self._http: Final = httpx2.AsyncClient(timeout=FETCH_TIMEOUT_S, follow_redirects=False)
        self._resource: Final = settings.resource_url
        self._addresses: Final = TenantAddresses(settings)
        self._issuers: Final = {
            one.issuer: _Issuer(one, KeySet(one, self._http), _read_by(one)) for one in settings.issuers
        }
        self._remembered: Final = RememberedTokens()
        self._used_proofs: Final = UsedProofs() if used_proofs is None else used_proofs

    async def replace(self, former: Mapping[str, KeySet]) -> None:
        """Fetch the keys of the issuers that `former` knows; if that fails, go on with the keys that it has."""
        known = [(one.keys, former[name]) for name, one in self._issuers.items() if name in former]
        await asyncio.gather(*(keys.replace(before) for keys, before in known))

    @property
    def key_sets(self) -> Mapping[str, KeySet]:
        """The key sets by issuer."""
        return {name: issuer.keys for name, issuer in self._issuers.items()}

    @property
    def remembered(self) -> int:
        """How many tokens are remembered."""
        return len(self._remembered)

    async def close(self) -> None:
        """End the fetches and close the connections to the issuers."""
        for issuer in self._issuers.values():
            await issuer.keys.close()
        await self._http.aclose()

    async def verify(self, text: str, asked: str | None = None, proof: str | None = None) -> AccessToken:
        """Return what a valid token says; `asked` is the last part of a tenant's address, as the caller wrote it.

        `proof` is the header DPoP of a request with that scheme, empty when missing; None with the scheme Bearer.
        Raises TokenRefusedError for every invalid token, ProofRefusedError for a valid one with an invalid proof,
        TokenTooLongError for one that is too long to be read, and IssuerUnavailableError when its issuer's keys cannot
        be fetched.
        """
        if len(text) > MAXIMUM_TOKEN_CHARACTERS:
            raise TokenTooLongError(MAXIMUM_TOKEN_CHARACTERS)
        digest = hashlib.sha256(text.encode()).digest()
        remembered = self._remembered.find(digest)
        verified = remembered or await self._verify(text)
        try:
            self._check_address(verified, asked)
            if remembered is None:
                self._remembered.keep(digest, verified)
            self._check_sender(verified.token, text, asked, proof)
        except TokenRefusedError as error:
            error.issuer = verified.token.issuer
            raise
        return verified.token

    def _check_address(self, verified: Verified, asked: str | None) -> None:
        """Require that the token is valid at the address that was called."""
        if not verified.audience.admits(None if asked is None else self._addresses.tenant(asked)):
            raise TokenRefusedError("aud names another tenant's address")

    def _check_sender(self, token: AccessToken, text: str, asked: str | None, proof: str | None) -> None:
        """Require a proof for a token that is bound to a key, and none for any other (RFC 9449 section 7.2)."""
        if token.bound_to is None and proof is None:
            return
        if token.bound_to is None:
            raise TokenRefusedError("the scheme is DPoP, and the token is not bound to a key")
        # RFC 7800: a token that is bound to a key and sent as a plain bearer is treated as stolen.
        if proof is None:
            raise TokenRefusedError("the token is bound to a key and came without a DPoP proof")
        now = time.time()
        url = self._resource if asked is None else self._addresses.of(asked)
        shown = check_proof(proof, text, token.bound_to, url, now)
        if not self._used_proofs.use(token.issuer, token.subject, shown, now):
            raise ProofRefusedError("the DPoP proof was used before")

    async def _verify(self, text: str) -> Verified:
        signed = parse_signature(text)
        claims = parse_claims(signed.payload)
        # The issuer is only a claim so far; it only selects which keys must have signed.
        named: Any = claims.get("iss")
        if not isinstance(named, str) or named not in self._issuers:
            raise TokenRefusedError("iss is not a configured issuer")
        issuer = self._issuers[named]
        if signed.algorithm not in issuer.settings.algorithms:
            raise TokenRefusedError("alg is not accepted from this issuer")
        await _verify_signature(signed, issuer.keys)
        try:
            return self._judged(signed.type, claims, issuer)
        except TokenRefusedError as error:
            error.issuer = named
            raise

    def _judged(self, kind: str | None, claims: Mapping[str, Any], issuer: _Issuer) -> Verified:
        """Check the claims, which the issuer has signed."""
        now, keys, rules = time.time(), issuer.keys, issuer.settings
        check_kind(kind, claims, rules)
        audience = audience_of(claims, rules, self._resource, self._addresses)
        token = AccessToken(
            issuer=rules.issuer,
            subject=_subject(claims),
            client_id=client_of(claims),
            scopes=granted_scopes(claims, rules, self._scopes),
            expires_at=check_times(claims, rules.max_lifetime_s, now, keys.clock_ahead_s),
            claims={name: claims[name] for name in issuer.read & claims.keys()},
            is_client=is_client(claims),
            bound_to=_bound_to(claims, rules),
            token_id=token_id_of(claims),
        )
        return Verified(token, audience, min(token.expires_at, now + REMEMBERED_S), keys, keys.generation)


async def _verify_signature(signed: CompactSignature, keys: KeySet) -> None:
    key = await keys.find(signed.key_id, signed.algorithm)
    if signed.key_id is None and not key.verifies(signed.algorithm, signed.signed, signed.signature):
        # Without a key id, only a signature that fails shows that there is a new key.
        key = await keys.find(None, signed.algorithm, newer_than=keys.generation)
    verify_signature(signed, key)


def _bound_to(claims: Mapping[str, Any], issuer: IssuerSettings) -> str | None:
    """Return the thumbprint of the key that the token is bound to (RFC 9449 section 6.1), None for a plain bearer."""
    confirmation = claims.get("cnf")
    if "cnf" not in claims and issuer.dpop != "required":
        return None
    if "cnf" not in claims:
        raise TokenRefusedError("the token is not bound to a key, as `dpop` requires")
    if issuer.dpop == "off":
        raise TokenRefusedError("the token is bound to a key, and dpop is off")
    # Other bindings, such as to a certificate, cannot be checked here.
    match confirmation:
        case {"jkt": str(thumbprint), **others} if thumbprint and not others:
            return thumbprint
        case _:
            raise TokenRefusedError("the token is bound to a key in an unknown way")


def _read_by(issuer: IssuerSettings) -> frozenset[str]:
    """Return the names of the claims that give a tenant and a tier: no other claims of a token are kept."""
    paths = [path.partition(".*")[0] for path in (*issuer.tenant_claims, issuer.tier_claim)]
    return frozenset[str]().union(*map(names_along, paths))


def _subject(claims: Mapping[str, Any]) -> str:
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= _SUBJECT_CHARACTERS:
        raise TokenRefusedError("sub is missing or malformed")
    # ASCII, as OpenID Connect Core 1.0 section 2 requires: a context in the database has at most 1 KB.
    if not subject.isascii() or not subject.isprintable():
        raise TokenRefusedError("sub is missing or malformed")
    return subject
