"""The development issuer's signing keys: made once, kept in a file that only its owner can read."""

import json
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from server.errors import StartupError

# Cognito signs ID tokens and access tokens with different keys, so a verifier that confuses them fails here too.
PURPOSES: Final = ("access-RS256", "access-ES256", "identity-RS256")


class SigningKeys:
    """The keys in one folder: the newest of each purpose signs, all stay published."""

    def __init__(self, folder: Path) -> None:
        """Read the keys in `folder`, made on first use; StartupError when the file cannot be trusted."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = folder / "keys.json"
        if not file.exists():
            # Only the owner can read the draft, and a link is complete and replaces nothing: when several processes
            # start at once, the first one makes the keys for all.
            with NamedTemporaryFile("w", dir=folder) as draft, suppress(FileExistsError):
                json.dump({"keys": [_generate(purpose) for purpose in PURPOSES]}, draft)
                draft.flush()
                os.link(draft.name, file)
        self._keys = _read(file)

    def sign(self, purpose: str, claims: Mapping[str, Any], token_type: str) -> str:
        """Return `claims`, without those that are None, as a compact JWS with `kid` and `typ` in its header."""
        present = {name: value for name, value in claims.items() if value is not None}
        key = [key for key in self._keys if str(key.key_id).startswith(purpose)][-1]
        return jwt.encode(present, key, algorithm=key.algorithm_name, headers={"kid": key.key_id, "typ": token_type})

    def rotate(self) -> str:
        """Sign access tokens with a new RS256 key until this process ends, and return its `kid`; the others stay."""
        key = jwt.PyJWK(_generate("access-RS256"))
        self._keys.append(key)
        return str(key.key_id)

    def published(self) -> dict[str, list[dict[str, Any]]]:
        """Return the key set, public halves only (RFC 7517 section 5)."""
        return {"keys": [_public(key) for key in self._keys]}


def _generate(purpose: str) -> dict[str, Any]:
    """Return a new private key as a JWK; its `kid` starts with its purpose, which ends with its algorithm."""
    if purpose.endswith("ES256"):
        members = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()), as_dict=True)
    else:
        members = RSAAlgorithm.to_jwk(rsa.generate_private_key(public_exponent=65537, key_size=2048), as_dict=True)
    return {**members, "alg": purpose[-5:], "kid": f"{purpose}-{secrets.token_hex(16)}"}


def _public(key: jwt.PyJWK) -> dict[str, Any]:
    members: dict[str, Any] = key.Algorithm.to_jwk(key.key.public_key(), as_dict=True)
    # `use` replaces it (RFC 7517 section 4.3).
    members.pop("key_ops", None)
    return {**members, "alg": key.algorithm_name, "use": "sig", "kid": key.key_id}


def _read(file: Path) -> list[jwt.PyJWK]:
    if file.stat().st_mode & 0o077:
        raise StartupError(f"The signing keys {file} can be read by other users; run `chmod 600` on it or delete it.")
    try:
        return jwt.PyJWKSet.from_json(file.read_text()).keys
    except (OSError, ValueError, jwt.PyJWTError):
        # Not chained to its cause, whose text may hold a private key.
        raise StartupError(f"The signing keys {file} cannot be read; delete it, and new keys are created.") from None
