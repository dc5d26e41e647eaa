"""An issuer on loopback whose keys and documents can be made wrong, and which counts who fetches them."""

import base64
import json
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm, get_default_algorithms

Answer = Callable[[BaseHTTPRequestHandler], None]


@cache
def private_key(kind: str, name: str) -> Any:
    """Return one key a name; making an RSA key takes a while, so each is made once a process."""
    match kind:
        case "RSA":
            return rsa.generate_private_key(public_exponent=65537, key_size=2048)
        case "RSA-1024":
            return rsa.generate_private_key(public_exponent=65537, key_size=1024)
        case "EC":
            return ec.generate_private_key(ec.SECP256R1())
        case _:
            return ed25519.Ed25519PrivateKey.generate()


def public_jwk(private: Any, key_id: str, **members: Any) -> dict[str, Any]:
    """Return the public half of a key as an issuer publishes it; None removes a member."""
    public = private.public_key()
    match public:
        case rsa.RSAPublicKey():
            numbers = RSAAlgorithm.to_jwk(public, as_dict=True)
        case ec.EllipticCurvePublicKey():
            numbers = ECAlgorithm.to_jwk(public, as_dict=True)
        case _:
            numbers = OKPAlgorithm.to_jwk(public, as_dict=True)
    jwk = {**numbers, "kid": key_id, "use": "sig"}
    jwk.pop("key_ops", None)
    return {name: value for name, value in {**jwk, **members}.items() if value is not None}


def private_jwk(private: rsa.RSAPrivateKey, key_id: str) -> dict[str, Any]:
    """Return a whole key, as no issuer should publish it."""
    jwk = {**RSAAlgorithm.to_jwk(private, as_dict=True), "kid": key_id}
    jwk.pop("key_ops")
    return jwk


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(header: Mapping[str, Any] | bytes, claims: Mapping[str, Any] | bytes, private: Any, algorithm: str) -> str:
    """Return a compact JWS over exactly these bytes."""
    parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, claims)]
    message = ".".join(encoded(part) for part in parts)
    return f"{message}.{encoded(get_default_algorithms()[algorithm].sign(message.encode(), private))}"


class Issuer:
    """Serves a discovery document and a key set; `answers` replaces what a path answers."""

    def __init__(self, **claims: Any) -> None:
        self.claims = claims
        self.private = private_key("RSA", "first")
        self.jwks: list[Any] = [public_jwk(self.private, "first", alg="RS256")]
        self.fetched: list[str] = []
        self.headers_received = ""
        self.answers: dict[str, Answer] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._serving = False
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    @contextmanager
    def running(self) -> Generator["Issuer"]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._serving = True
        thread.start()
        try:
            yield self
        finally:
            self.stop()
            thread.join()

    def stop(self) -> None:
        """Listen no longer."""
        if self._serving:
            self._server.shutdown()
        self._server.server_close()

    @property
    def key_set_fetches(self) -> int:
        return self.fetched.count("/jwks.json")

    def valid_claims(self) -> dict[str, Any]:
        now = int(time.time())
        return {"iss": self.url, "sub": "somebody", "iat": now, "exp": now + 600, **self.claims}

    def token(self, *, header: Mapping[str, Any] | None = None, private: Any = None, **claims: Any) -> str:
        """Return a valid token, but for what is given; None removes a claim or a header."""
        full_header = {"alg": "RS256", "kid": "first", "typ": "at+jwt", **(header or {})}
        full_claims = {**self.valid_claims(), **claims}
        return signed(
            {name: value for name, value in full_header.items() if value is not None},
            {name: value for name, value in full_claims.items() if value is not None},
            private or self.private,
            {**dict.fromkeys(get_default_algorithms()), "Ed25519": "EdDSA"}.get(full_header["alg"], "RS256")
            or full_header["alg"],
        )

    def token_with_header(self, header: Mapping[str, Any]) -> str:
        """Return a token that is valid but for its header, which is exactly this one."""
        return signed(header, self.valid_claims(), self.private, "RS256")

    def document(self, path: str) -> Any:
        if path == "/jwks.json":
            return {"keys": self.jwks}
        return {"issuer": self.url, "jwks_uri": f"{self.url}/jwks.json"}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.fetched.append(self.path)
                issuer.headers_received += str(self.headers)
                answer = issuer.answers.get(self.path)
                try:
                    if answer is not None:
                        answer(self)
                    else:
                        send(self, json.dumps(issuer.document(self.path)).encode())
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

            def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
                """Say nothing."""

        return Handler


def send(
    handler: BaseHTTPRequestHandler, body: bytes, status: int = 200, kind: str = "application/json", **headers: str
) -> None:
    handler.send_response(status)
    for name, value in {"content-type": kind, "content-length": str(len(body)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


def answer(body: bytes, status: int = 200, kind: str = "application/json", **headers: str) -> Answer:
    """Return an answer that is always this one."""
    return lambda handler: send(handler, body, status, kind, **headers)


def slow(seconds: float) -> Answer:
    """Return an answer that comes late."""

    def wait(handler: BaseHTTPRequestHandler) -> None:
        time.sleep(seconds)
        send(handler, b"{}")

    return wait
