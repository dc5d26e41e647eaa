"""A verifier with the well-known holes, one for each kind of forgery: the control of the attack on tokens."""

import hmac
import json
from pathlib import Path
from typing import Any

import httpx2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import RSAAlgorithm
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from attack.genuine import HASHES, decoded


class CarelessVerifier:
    """Believes what the token says of how it is to be verified; nothing but the signature is looked at."""

    def __init__(self, public: Any) -> None:
        """Verify with the issuer's published key, unless the token says otherwise."""
        self._public = public
        self._text = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    @property
    def app(self) -> Starlette:
        """An application that answers 200 to an accepted token."""

        def mcp(request: Request) -> JSONResponse:
            token = request.headers.get("authorization", "").partition(" ")[2] or request.query_params.get(
                "access_token", ""
            )
            try:
                accepted = self.accepts(token)
            except (ValueError, LookupError, TypeError, AttributeError, OSError, InvalidSignature, httpx2.HTTPError):
                accepted = False
            return JSONResponse({}, 200 if accepted else 401)

        return Starlette(routes=[Route("/mcp", mcp, methods=["POST"])])

    def accepts(self, token: str) -> bool:
        """Whether the token is accepted; any error says no."""
        parts = token.replace(" ", "").split(".")
        if len(parts) == 5:  # an encrypted token: whoever encrypted it had a key
            return True
        header, claims = json.loads(decoded(parts[0])), json.loads(decoded(parts[1]))
        if len(parts) == 2:
            return bool(claims)
        message, signature = f"{parts[0]}.{parts[1]}".encode(), decoded(parts[2])
        algorithm = header["alg"]
        if algorithm.lower() == "none":
            return True
        if algorithm in HASHES:
            known = (self._text, b"secret", self._secret(header.get("kid")))
            return any(hmac.digest(one, message, HASHES[algorithm]) == signature for one in known)
        if algorithm == "ES256":  # r and s are not compared with 0
            return not any(signature)
        self._key(header, claims).verify(signature, message, padding.PKCS1v15(), SHA256())
        return True

    @staticmethod
    def _secret(key_id: Any) -> bytes:
        return Path(key_id).read_bytes() if isinstance(key_id, str) and key_id.startswith(("/", ".")) else b"secret"

    def _key(self, header: dict[str, Any], claims: dict[str, Any]) -> Any:
        if "jwk" in header:
            return RSAAlgorithm.from_jwk(header["jwk"])
        keys = header.get("jku") or (f"{claims['iss']}/jwks.json" if header.get("kid") == "of the attacker" else None)
        if keys:
            return RSAAlgorithm.from_jwk(httpx2.get(keys, timeout=5).json()["keys"][0])
        return self._public
