"""Tokens as real issuers write them, and what this server answers: the rows of the table in docs/identity.md.

`ROWS` is read by tests/test_token_matrix.py, which holds the document's table equal to it and sends every token.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from support.dpop import KEY, thumbprint
from support.issuer import Issuer, private_key, public_jwk

BOUND = {"jkt": thumbprint(*KEY)}


@dataclass(frozen=True)
class Row:
    """One token: its claims and header beside the usual ones, the issuer's keys, and the settings of the issuer."""

    token: str
    answer: str
    remark: str
    claims: dict[str, Any] = field(default_factory=dict[str, Any])
    header: dict[str, Any] = field(default_factory=dict[str, Any])
    keys: Callable[[], list[dict[str, Any]]] | None = None
    signer: tuple[str, str] = ("RSA", "first")
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    # What the log or the caller reads of it.
    told: str = ""
    # Whether it is sent with the scheme DPoP and a right proof.
    proved: bool = False


def rsa(key_id: str | None = "same", name: str = "first", **members: Any) -> dict[str, Any]:
    return public_jwk(private_key("RSA", name), "", **{"kid": key_id, **members})


def curve(kind: str, key_id: str | None = "same", **members: Any) -> dict[str, Any]:
    return public_jwk(private_key(kind, "curve"), "", **{"kid": key_id, **members})


SAME = {"kid": "same"}
WITHOUT = {"kid": None}
THREE = {"algorithms": ["RS256", "RS384", "RS512"]}
GROUPS = [str(UUID(int=number, version=4)) for number in range(1, 201)]
ENTRA = {"azp": "client", "scope": None, "scp": "claims:read", "ver": "2.0", "oid": "o"}
KEYCLOAK = {"typ": "Bearer", "azp": "app", "scope": "openid email", "session_state": "x", "sid": "x"}
SERVICE = {"client_id": "nightly", "azp": "nightly", "clientHost": "10.0.0.1", "clientAddress": "10.0.0.1"}
SUPABASE = {
    "aud": "authenticated", "role": "authenticated", "scope": None, "session_id": "s", "aal": "aal1",
    "is_anonymous": False, "tenant_id": None, "app_metadata": {"provider": "email", "tenant_id": "broker-a"},
    "user_metadata": {"tenant_id": "broker-b"},
}  # fmt: skip
BY_SETTING = {
    "audiences": ["authenticated"],
    "required_claims": {"role": "authenticated", "is_anonymous": False},
    "tenant_claims": ["app_metadata.tenant_id"],
}
ORGANIZATION = {"tenant_id": None}
NOTHING: dict[str, Any] = {}
SENT_ELSEWHERE = {"_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": "https://graph.test"}}}


def ahead(**seconds: int) -> dict[str, Any]:
    """Return times as they will be read: seconds from now."""
    return {name: lambda value=value: int(time.time()) + value for name, value in seconds.items()}


ROWS: list[Row] = [
    # Keys.
    Row(
        "one `kid` for an encryption key and a signing key (Keycloak)", "accepted", "the signing key counts",
        header=SAME, keys=lambda: [rsa(name="second", use="enc", alg="RSA-OAEP"), rsa(alg="RS256")],
    ),
    Row(
        "one key listed under `RS256`, `RS384` and `RS512`", "accepted", "`algorithms` names those that you want",
        header={"kid": "same", "alg": "RS384"}, settings=THREE,
        keys=lambda: [rsa(alg=algorithm) for algorithm in ("RS256", "RS384", "RS512")],
    ),
    Row(
        "the same, with an algorithm that `algorithms` does not name", "401", "",
        header={"kid": "same", "alg": "RS512"}, told="alg is not accepted",
        keys=lambda: [rsa(alg=algorithm) for algorithm in ("RS256", "RS384", "RS512")],
    ),
    Row(
        "one `kid` for an RSA key and an EC key", "accepted", "each algorithm has one key",
        header={"kid": "same", "alg": "ES256"}, signer=("EC", "curve"), settings={"algorithms": ["RS256", "ES256"]},
        keys=lambda: [rsa(), curve("EC")],
    ),
    Row(
        "one `kid` for an old key of 1,024 bits and a sound one", "accepted", "the sound key counts",
        header=SAME, keys=lambda: [public_jwk(private_key("RSA-1024", "weak"), "same"), rsa()],
    ),
    Row(
        "one `kid` and algorithm for two keys", "401", "neither is used; the log names the `kid`",
        header=SAME, keys=lambda: [rsa(), rsa(name="second"), rsa("other", "third")], told="kid=same",
    ),
    Row(
        "one `kid` for a key and for a secret that should not be there", "401", "readers of the key set could sign",
        header=SAME, keys=lambda: [rsa(), {"kty": "oct", "kid": "same", "k": "c2VjcmV0"}, rsa("other", "third")],
    ),
    Row(
        "no `kid`, and one key without `kid`", "accepted", "",
        header=WITHOUT, keys=lambda: [rsa(None)],
    ),
    Row(
        "no `kid`, and one key alone that may verify, though it has one", "accepted", "OpenID Connect Core 1.0, 10.1",
        header=WITHOUT, keys=lambda: [rsa(), rsa("other", "second", use="enc")],
    ),
    Row(
        "no `kid`, and two keys without `kid` for two algorithms", "accepted", "the algorithm decides",
        header={"kid": None, "alg": "ES256"}, signer=("EC", "curve"), settings={"algorithms": ["ES256"]},
        keys=lambda: [rsa(None), curve("EC", None)],
    ),
    Row(
        "no `kid`, and several keys that have one", "401", "",
        header=WITHOUT, keys=lambda: [rsa(), rsa("other", "second")],
    ),
    Row(
        "a `kid` that the key set does not have yet", "401, then 503", "asked again after `Retry-After`",
        header={"kid": "next"}, told="has not published",
    ),
    Row(
        "`alg` is `Ed25519` (RFC 9864)", "accepted", '`algorithms = ["Ed25519"]`',
        header={"kid": "same", "alg": "Ed25519"}, signer=("OKP", "curve"), settings={"algorithms": ["Ed25519"]},
        keys=lambda: [curve("OKP", alg="Ed25519")],
    ),
    Row(
        "`alg` is `EdDSA` (RFC 8037)", "accepted", '`algorithms = ["EdDSA"]`; name both where an issuer is changing',
        header={"kid": "same", "alg": "EdDSA"}, signer=("OKP", "curve"), settings={"algorithms": ["EdDSA", "Ed25519"]},
        keys=lambda: [curve("OKP")],
    ),
    # Length, and groups that were left out.
    Row(
        "200 groups (Entra ID)", "accepted", "up to 16,384 characters",
        claims={**ENTRA, "groups": [*GROUPS[1:], "regular"]}, told="regular",
    ),
    Row(
        "longer than 16,384 characters", "431", "not a 401: a new sign-in would give the same token",
        claims={**ENTRA, "groups": GROUPS * 2}, told="fewer groups",
    ),
    Row(
        "more than 200 groups: `_claim_names` (Entra ID)", "accepted", "documents are refused, and the answer says why",
        claims={**ENTRA, **SENT_ELSEWHERE}, told="left your groups out",
    ),
    Row(
        "`hasgroups` in place of groups (Entra ID)", "accepted", "the same",
        claims={**ENTRA, "hasgroups": True}, told="left your groups out",
    ),
    Row(
        "groups left out where the tenant is read from them", "403", "the answer says why",
        claims={**ENTRA, **SENT_ELSEWHERE}, settings={"tenant_claims": ["groups"]}, told="left your groups out",
    ),
    Row(
        "`_claim_names` for another claim", "accepted", "",
        claims={**ENTRA, "_claim_names": {"photo": "src1"}, "groups": "regular"}, told="regular",
    ),
    # Access tokens and others.
    Row(
        '`nonce` and `"typ": "Bearer"` (Keycloak up to 24)', "accepted", "",
        claims={**KEYCLOAK, "nonce": "abc"},
    ),
    Row(
        '`nonce` and `"typ": "Bearer"` without `scope`', "401", "",
        claims={**KEYCLOAK, "nonce": "abc", "scope": None}, told="ID token",
    ),
    Row("`nonce` without `typ`", "401", "an ID token", claims={"nonce": "abc", "azp": "app"}, told="ID token"),
    Row('`"typ": "ID"` (Keycloak)', "401", "an ID token", claims={**KEYCLOAK, "typ": "ID"}, told="ID token"),
    Row('`"typ": "Refresh"` or `"Offline"` (Keycloak)', "401", "", claims={**KEYCLOAK, "typ": "Offline"}),
    Row(
        '`"typ": "Bearer"` without `scope` (a lightweight access token of Keycloak)', "accepted", "",
        claims={**KEYCLOAK, "scope": None},
    ),
    Row(
        "a service account (Keycloak)", "accepted, a client", "`preferred_username` with `clientHost`",
        claims={**KEYCLOAK, **SERVICE, "preferred_username": "service-account-nightly"},
    ),
    Row(
        "a person who is called `service-account-…`", "accepted, a person", "",
        claims={**KEYCLOAK, "preferred_username": "service-account-app"},
    ),
    Row("a session (Supabase)", "accepted", "`required_claims`", claims=SUPABASE, settings=BY_SETTING),
    Row(
        "the same without the setting", "401", "",
        claims=SUPABASE, settings={"audiences": ["authenticated"]}, told="nothing shows",
    ),
    Row(
        "an anonymous session (Supabase)", "401", "`required_claims`",
        claims=SUPABASE | {"is_anonymous": True}, settings=BY_SETTING, told="required_claims",
    ),
    Row(
        "the key of a project: `anon`, `service_role` (Supabase)", "401", "`required_claims`",
        claims=SUPABASE | {"role": "service_role"}, settings=BY_SETTING, told="required_claims",
    ),
    # Tenants.
    Row("a list of one organization", "accepted", "", ORGANIZATION | {"organization": ["acme"]},
        settings={"tenant_claims": ["organization"]}),
    Row("a list of two", "403", "the answer names the addresses of both", ORGANIZATION | {"organization": ["a", "b"]},
        settings={"tenant_claims": ["organization"]}, told="several tenants"),
    Row("a map of one organization", "accepted", '`tenant_claims = ["organization.*"]`',
        ORGANIZATION | {"organization": {"acme": {"id": "0053"}}}, settings={"tenant_claims": ["organization.*"]}),
    Row("`org_9ybsU1dN2dKfDkBi` (Auth0, WorkOS, Clerk)", "accepted", '`tenant_claims = ["org_id"]`',
        ORGANIZATION | {"org_id": "org_9ybsU1dN2dKfDkBi"}, settings={"tenant_claims": ["org_id"]}),
    Row("a claim path that is there twice: the claim `attributes.tenant_id`, and `tenant_id` in `attributes`", "403",
        "one of them may be a client's own", {"attributes.tenant_id": "b", "attributes": {"tenant_id": "a"}},
        settings={"tenant_claims": ["attributes.tenant_id"]}, told="more than one way"),
    # Tokens that are bound to a key of their sender.
    Row("bound to a key (`cnf`), and sent as Bearer", "401", "whatever `dpop` says", {"cnf": BOUND},
        settings={"dpop": "accepted"}, told="bound to a key"),
    Row("bound to a key, and sent with a DPoP proof", "accepted", '`dpop = "accepted"` or `"required"`',
        {**KEYCLOAK, "typ": "DPoP", "cnf": BOUND}, settings={"dpop": "required"}, proved=True),
    Row("the same without the setting", "401", "", {"cnf": BOUND}, told="bound to a key", proved=True),
    Row("not bound to a key", "401", 'where `dpop = "required"`', settings={"dpop": "required"}, told="not bound"),
    Row("bound to a certificate (`x5t#S256`)", "401", "mutual TLS is not offered", {"cnf": {"x5t#S256": "x"}},
        settings={"dpop": "accepted"}, told="in an unknown way", proved=True),
    # Clocks.
    Row("`iat` is ahead of this server's clock", "401", "over 60 s; the log names the clocks and the difference",
        ahead(iat=300, exp=900), told="s ahead of this server's clock"),
    Row("`nbf` is ahead of this server's clock", "401", "the same", ahead(nbf=300),
        told="s ahead of this server's clock"),
    Row("`exp` is over, right after the sign-in", "401", "the log says how long, and which clock is ahead by how much",
        ahead(iat=-7200, exp=-6900), told="s ago; this server's clock agrees with the issuer's"),
]  # fmt: skip


def keys_of(row: Row, issuer: Issuer) -> list[Any]:
    return row.keys() if row.keys else issuer.jwks


def token_of(row: Row, issuer: Issuer) -> str:
    """Return the row's token, signed with its key; times are counted from now."""
    claims = {name: value() if callable(value) else value for name, value in row.claims.items()}
    return issuer.token(header={"typ": None, **row.header}, private=private_key(*row.signer), **claims)
