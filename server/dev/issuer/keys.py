"""The development issuer's signing keys: made once, kept in files that only their owner can read."""

import base64
import hashlib
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from server.errors import StartupError

Purpose = Literal["access-rs256", "access-es256", "identity-rs256"]
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

# Cognito signs ID tokens and access tokens with different keys, so a verifier that mixes them up fails here as well.
PURPOSES: Final[tuple[Purpose, ...]] = ("access-rs256", "access-es256", "identity-rs256")


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One private key; `kid` is the thumbprint of its public half (RFC 7638), so it survives a restart."""

    private: PrivateKey
    algorithm: Literal["RS256", "ES256"]
    kid: str

    def sign(self, claims: Mapping[str, Any], token_type: str) -> str:
        """Return `claims` as a compact JWS whose header carries `kid` and `typ` (RFC 7515 section 4.1)."""
        headers = {"kid": self.kid, "typ": token_type}
        return jwt.encode(dict(claims), self.private, algorithm=self.algorithm, headers=headers)

    def public(self) -> dict[str, str]:
        """Return the public half as a JWK with `alg`, `use` and `kid` (RFC 7517 section 4)."""
        return {**_public_members(self.private), "alg": self.algorithm, "use": "sig", "kid": self.kid}


class SigningKeys:
    """All keys of one folder: the newest of each purpose signs, every one stays published."""

    def __init__(self, folder: Path) -> None:
        """Read the keys of `folder` and make what is missing; StartupError when a file cannot be trusted."""
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for purpose in PURPOSES:
            if not self._load(purpose):
                # When another process starts at this moment, the first key that is written is the key of both.
                _write_new(self._path(purpose, 1), _generate(purpose))
        self._keys: dict[Purpose, tuple[SigningKey, ...]] = {purpose: self._load(purpose) for purpose in PURPOSES}

    def newest(self, purpose: Purpose) -> SigningKey:
        """Return the key that signs for `purpose` now."""
        return self._keys[purpose][-1]

    def add(self, purpose: Purpose) -> SigningKey:
        """Make one more key for `purpose`, keep it, and sign with it from now on; older ones stay published."""
        private = _generate(purpose)
        number = len(self._keys[purpose]) + 1
        while not _write_new(self._path(purpose, number), private):
            number += 1
        self._keys[purpose] = self._load(purpose)
        return self.newest(purpose)

    def published(self) -> dict[str, list[dict[str, str]]]:
        """Return the key set, public halves only (RFC 7517 section 5)."""
        return {"keys": [key.public() for purpose in PURPOSES for key in self._keys[purpose]]}

    def find(self, kid: str) -> SigningKey | None:
        """Return the key named `kid`, or None when it is not one of ours."""
        return next((key for keys in self._keys.values() for key in keys if key.kid == kid), None)

    def _path(self, purpose: Purpose, number: int) -> Path:
        return self._folder / f"{purpose}-{number:04}.pem"

    def _load(self, purpose: Purpose) -> tuple[SigningKey, ...]:
        return tuple(_read(path) for path in sorted(self._folder.glob(f"{purpose}-*.pem")))


def _generate(purpose: Purpose) -> PrivateKey:
    if purpose == "access-es256":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _write_new(path: Path, private: PrivateKey) -> bool:
    """Write `path` in one step with mode 0600; False when that name is taken."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    try:
        # A link appears whole or not at all, so no other process can read half a key.
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    return True


def _read(path: Path) -> SigningKey:
    if path.stat().st_mode & 0o077:
        raise StartupError(f"Signing key {path} can be read by other users; run `chmod 600` on it or delete it.")
    try:
        private = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError) as error:
        raise StartupError(f"Signing key {path} cannot be read; delete it and a new one is made.") from error
    if isinstance(private, rsa.RSAPrivateKey):
        return SigningKey(private, "RS256", _thumbprint(private))
    if isinstance(private, ec.EllipticCurvePrivateKey):
        return SigningKey(private, "ES256", _thumbprint(private))
    raise StartupError(f"Signing key {path} is neither RSA nor elliptic-curve; delete it and a new one is made.")


def _public_members(private: PrivateKey) -> dict[str, str]:
    """Return the members that RFC 7638 section 3.2 hashes, and no others."""
    if isinstance(private, rsa.RSAPrivateKey):
        members = RSAAlgorithm.to_jwk(private.public_key(), as_dict=True)
        return {name: str(members[name]) for name in ("e", "kty", "n")}
    members = ECAlgorithm.to_jwk(private.public_key(), as_dict=True)
    return {name: str(members[name]) for name in ("crv", "kty", "x", "y")}


def _thumbprint(private: PrivateKey) -> str:
    canonical = json.dumps(_public_members(private), separators=(",", ":"), sort_keys=True)
    return base64.urlsafe_b64encode(hashlib.sha256(canonical.encode()).digest()).rstrip(b"=").decode()
