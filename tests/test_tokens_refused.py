"""Every token that must be refused, over HTTP: one constant answer, no database connection, nothing fetched."""

import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from support.gate import METADATA, Make, Served
from support.issuer import encoded, private_key, public_jwk, signed

NOW = time.time
HEADER = b'{"alg":"RS256","kid":"first","typ":"at+jwt"}'


def raw(served: Served, header: bytes = HEADER, payload: bytes | None = None) -> str:
    """Sign a header, or a payload, of exactly these bytes."""
    return signed(header, payload or served.strict.valid_claims(), served.strict.private, "RS256")


def begun(served: Served, text: str) -> str:
    """Sign the valid claims with `text` in place of their first brace."""
    return raw(served, payload=text.encode() + json.dumps(served.strict.valid_claims())[1:].encode())


def edited(served: Served, part: int, edit: Callable[[str], str]) -> str:
    """Return a valid token with one of its three parts changed."""
    parts = served.strict.token().split(".")
    parts[part] = edit(parts[part])
    return ".".join(parts)


def public_key_text(served: Served) -> bytes:
    return served.strict.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def symmetric(served: Served) -> str:
    head = encoded(b'{"alg":"HS256","kid":"first","typ":"at+jwt"}')
    message = f"{head}.{encoded(json.dumps(served.strict.valid_claims()).encode())}"
    return f"{message}.{encoded(hmac.digest(public_key_text(served), message.encode(), hashlib.sha256))}"


def header(**members: Any) -> Make:
    return lambda served: served.strict.token(header=members)


def claims(**members: Any) -> Make:
    return lambda served: served.strict.token(**members)


def cognito(**members: Any) -> Make:
    return lambda served: served.cognito.token(header={"typ": None}, **members)


def plain(**members: Any) -> Make:
    return lambda served: served.plain.token(header={"kid": "of-plain", "typ": None}, **members)


KEY = {"kty": "RSA", "n": "AQAB", "e": "AQAB"}
REFUSED: dict[str, Make] = {
    "R36 first character of the signature": lambda s: edited(s, 2, lambda p: ("A" if p[0] != "A" else "B") + p[1:]),
    "R36 signature of another key": lambda s: s.strict.token(private=private_key("RSA", "second")),
    "R36 empty signature": lambda s: edited(s, 2, lambda _: ""),
    "R36 payload of another token": lambda s: edited(s, 1, lambda _: s.strict.token(sub="admin").split(".")[1]),
    **{f"R37 {alg}": header(alg=alg) for alg in ("none", "None", "NONE", "nOnE", "", "RS256 ", "rs256")},
    "R37 none without signature": lambda s: edited(s, 2, lambda _: "").replace(
        s.strict.token().split(".")[0], encoded(b'{"alg":"none","kid":"first","typ":"at+jwt"}')
    ),
    "R37 none with a signature": lambda s: raw(s, b'{"alg":"none","kid":"first","typ":"at+jwt"}'),
    "R38 HS256 with the public key": symmetric,
    "R39 another algorithm of the same key": header(alg="RS512"),
    "R39 PS256": header(alg="PS256"),
    "R39 ES256 with an RSA key's id": lambda s: s.strict.token(
        header={"alg": "ES256"}, private=private_key("EC", "curve")
    ),
    "R39 alg missing": lambda s: raw(s, b'{"kid":"first","typ":"at+jwt"}'),
    "R39 alg a list": lambda s: raw(s, b'{"alg":["RS256"],"kid":"first","typ":"at+jwt"}'),
    "R40 crit unknown": header(crit=["exp"]),
    "R40 crit empty": header(crit=[]),
    "R40 b64 false": header(b64=False, crit=["b64"]),
    "R40 b64 true": header(b64=True),
    **{f"R41 {name}": header(**{name: "URL"}) for name in ("jku", "x5u")},
    "R41 jwk": header(jwk=KEY),
    "R41 x5c": header(x5c=["MIIB"]),
    "R42 kid missing": header(kid=None),
    "R42 kid a number": header(kid=1),
    "R42 kid empty": header(kid=""),
    "R42 kid a path": header(kid="../../../../dev/null"),
    "R42 kid SQL": header(kid="first' OR '1'='1"),
    "R42 kid of 5 KB": header(kid="k" * 5_000),
    "R42 kid another": header(kid="of nobody"),
    "R44 typ missing": header(typ=None),
    "R44 typ JWT": header(typ="JWT"),
    "R44 typ of a logout token": header(typ="logout+jwt"),
    "R44 typ a number": header(typ=1),
    "R44 token_use missing": cognito(token_use=None),
    "R45 Cognito ID token": cognito(token_use="id", aud="desktop-client"),
    "R45 ID token with nonce": plain(nonce="n-0S6_WzA2Mj"),
    "R45 ID token with at_hash": plain(at_hash="77QmUPtjPfzWtF2AnpK9RQ"),
    "R45 nothing of an access token": plain(scope=None, azp="desktop-client"),
    "R46 iss absent": claims(iss=None),
    "R46 iss a list": lambda s: s.strict.token(iss=[s.strict.url]),
    "R46 iss with a slash": lambda s: s.strict.token(iss=f"{s.strict.url}/"),
    "R46 iss a prefix": lambda s: s.strict.token(iss=s.strict.url[:-1]),
    "R46 iss in capitals": lambda s: s.strict.token(iss=s.strict.url.upper()),
    "R47 iss of one, key of another": lambda s: s.strict.token(
        header={"kid": "of-plain"}, private=private_key("RSA", "second")
    ),
    "R47 key of one, iss of another": lambda s: s.strict.token(iss=s.plain.url),
    "R48 aud absent": claims(aud=None),
    "R48 aud null": lambda s: raw(s, payload=json.dumps({**s.strict.valid_claims(), "aud": None}).encode()),
    "R48 aud empty": claims(aud=[]),
    "R48 aud another": claims(aud="https://elsewhere.example/mcp"),
    "R48 aud a prefix": claims(aud="https://mcp.example.com"),
    "R48 aud longer": claims(aud="https://mcp.example.com/mcp/"),
    "R48 aud in capitals": claims(aud="HTTPS://MCP.EXAMPLE.COM/MCP"),
    "R48 aud with NUL": claims(aud="https://mcp.example.com/mcp\0"),
    "R48 aud with a number": claims(aud=["https://mcp.example.com/mcp", 1]),
    "R48 aud an object": claims(aud={"https://mcp.example.com/mcp": 1}),
    "R48 client unknown": cognito(client_id="another-client"),
    "R48 client absent": cognito(client_id=None),
    "R48 client a list": cognito(client_id=["desktop-client"]),
    "R48 aud another though the client is known": cognito(aud="https://elsewhere.example"),
    "R50 exp absent": claims(exp=None),
    "R50 exp a text": claims(exp="9999999999"),
    "R50 exp true": claims(exp=True),
    "R50 exp NaN": lambda s: s.strict.token(exp=float("nan")),
    "R50 exp Infinity": lambda s: s.strict.token(exp=float("inf")),
    "R50 exp 1e300": claims(exp=1e300),
    "R50 exp negative": claims(exp=-1),
    "R50 exp zero": claims(exp=0),
    "R50 exp now": lambda s: s.strict.token(exp=int(NOW())),
    "R50 exp a list": lambda s: s.strict.token(exp=[int(NOW()) + 60]),
    "R53 exp one second ago, no leeway": lambda s: s.strict.token(exp=int(NOW()) - 1),
    "R51 lives too long": lambda s: s.strict.token(exp=int(NOW()) + 3700),
    "R51 lives too long, iat absent": lambda s: s.strict.token(iat=None, exp=int(NOW()) + 3700),
    "R51 iat in the future": lambda s: s.strict.token(iat=int(NOW()) + 70),
    "R51 iat ancient": lambda s: s.strict.token(iat=1),
    "R51 iat a text": lambda s: s.strict.token(iat=str(int(NOW()))),
    "R52 nbf in the future": lambda s: s.strict.token(nbf=int(NOW()) + 70),
    "R52 nbf a text": claims(nbf="0"),
    "R52 nbf true": claims(nbf=True),
    "R54 sub absent": claims(sub=None),
    "R54 sub empty": claims(sub=""),
    "R54 sub a number": claims(sub=7),
    "R54 sub with a line break": claims(sub="somebody\nadmin"),
    "R54 sub with a bidi control": claims(sub="somebody\u202eadmin"),
    "R54 sub of 256 characters": claims(sub="s" * 256),
    "R55 a claim twice": lambda s: begun(s, '{"sub":"admin",'),
    "R55 a nested claim twice": lambda s: begun(s, '{"extra":{"a":1,"a":2},'),
    "R55 a header twice": lambda s: raw(s, b'{"alg":"RS256","alg":"RS256","kid":"first","typ":"at+jwt"}'),
    "R56 BOM": lambda s: begun(s, "\ufeff{"),
    "R56 UTF-16": lambda s: raw(s, payload=json.dumps(s.strict.valid_claims()).encode("utf-16")),
    "R56 Latin-1": lambda s: raw(s, payload=b'{"sub":"\xe9"}'),
    "R56 a list": lambda s: raw(s, payload=b"[]"),
    "R57 padding": lambda s: edited(s, 2, lambda p: p + "=="),
    "R57 standard alphabet": lambda s: edited(s, 2, lambda p: p[:-1] + "+"),
    "R57 unused bits": lambda s: edited(s, 2, lambda p: p[:-1] + chr(ord(p[-1]) + 1)),
    "R57 a blank inside": lambda s: edited(s, 1, lambda p: p[:9] + " " + p[9:]),
    "R57 a trailing part": lambda s: s.strict.token() + ".e30",
    "R57 a trailing dot": lambda s: s.strict.token() + ".",
    "R57 a no-break space after it": lambda s: s.strict.token() + "\xa0",
    "R58 JWE": lambda s: ".".join([*s.strict.token().split("."), "e30", "e30"]),
    "R58 JSON serialisation": lambda s: json.dumps(
        dict(zip(("protected", "payload", "signature"), s.strict.token().split("."), strict=True))
    ),
    "R58 nested": header(cty="JWT"),
    "R58 zip": header(zip="DEF"),
    "R58 enc": header(enc="A128GCM"),
    "R60 cnf": claims(cnf={"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}),
    "R60 cnf empty": claims(cnf={}),
    "not a token": lambda _: "token",
    "two tokens": lambda s: f"{s.strict.token()}, Bearer {s.strict.token()}",
}


@pytest.fixture(scope="module")
def warm(served: Served) -> Served:
    """The server after a valid call for each issuer, so that it has their keys."""
    served.whoami(served.strict.token())
    served.whoami(served.cognito.token(header={"typ": None}, sub="mapped-to-a"))
    served.whoami(served.plain.token(header={"kid": "of-plain", "typ": None}))
    return served


@pytest.mark.parametrize("case", list(REFUSED))
def test_a_bad_token_is_refused_with_one_answer_and_without_a_trace(warm: Served, case: str) -> None:
    """R36 to R60, R63, R35: each time the same 401, no byte to the database and none to any issuer."""
    bearer = b"Bearer " + REFUSED[case](warm).encode("latin-1")
    before, fetches = warm.database.bytes_sent, warm.fetches
    response = warm.http.post(warm.url, content=b"{}", headers=[(b"authorization", bearer)])
    assert warm.database.bytes_sent == before
    # A key id that the issuer does not have is looked for once, at the issuer's own address: two documents.
    assert warm.fetches - fetches <= (2 if case[:3] in {"R42", "R47"} else 0)
    if response.status_code == 503:
        # Until the issuer can be asked again, a key that is not there may have been published.
        assert case[:3] in {"R42", "R47"}
        assert 1 <= int(response.headers["retry-after"]) <= 30
        assert response.json()["error"]["code"] == -32005
        return
    assert response.status_code == 401
    assert response.json() == {
        "jsonrpc": "2.0",
        "id": None,
        "error": {
            "code": -32001,
            "message": "The access token is missing, malformed, expired or not meant for this server; sign in again.",
        },
    }
    # The issuers of this server name the scopes differently, so none is named.
    assert response.headers["www-authenticate"] == f'Bearer error="invalid_token", resource_metadata="{METADATA}"'


def test_a_token_that_is_too_long_is_refused_and_no_new_sign_in_is_asked_for(warm: Served) -> None:
    """R59, case 09: a client that signs in again gets the same token; and up to 16 KB are accepted."""
    room = 16_384 - len(warm.strict.token(padding=""))
    assert warm.post(warm.strict.token(padding="x" * (room * 3 // 4 - 2))).status_code == 200
    for long in (warm.strict.token(padding="x" * (room * 3 // 4 + 2)), "x" * 16_385):
        before, fetches = warm.database.bytes_sent, warm.fetches
        response = warm.post(long)
        assert response.status_code == 431
        assert "www-authenticate" not in response.headers
        message = response.json()["error"]["message"]
        assert message.startswith("The access token has over 16384 characters")
        assert "fewer groups" in message
        assert (warm.database.bytes_sent, warm.fetches) == (before, fetches)


def test_a_key_that_is_used_before_it_is_published_is_retried_and_needs_no_new_sign_in(warm: Served) -> None:
    """R42: somebody asks for the next key early; its genuine tokens are told when to come again, and then accepted."""
    key_id, private = f"next-{NOW()}", private_key("RSA", "third")
    warm.post(warm.strict.token(header={"kid": key_id}, private=private_key("RSA", "second")))
    warm.strict.jwks.append(public_jwk(private, key_id, alg="RS256"))
    answers = [warm.post(token := warm.strict.token(header={"kid": key_id}, private=private))]
    while answers[-1].status_code == 503 and len(answers) < 5:
        assert "www-authenticate" not in answers[-1].headers
        time.sleep(int(answers[-1].headers["retry-after"]))
        answers.append(warm.post(token))
    # Never 401; and 503 unless the pause after the last look was over by chance.
    assert {one.status_code for one in answers[:-1]} <= {503}
    assert answers[-1].status_code == 200


def test_the_counters_see_a_token_that_is_accepted(warm: Served) -> None:
    before = warm.database.bytes_sent
    assert warm.post(warm.strict.token(sub="never seen before"), "query_claims").status_code == 200
    assert warm.database.bytes_sent > before
