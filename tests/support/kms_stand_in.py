"""AWS KMS for one Ed25519 key, over the wire: the two operations that the server asks for.

The form is that of the pages of KMS. moto has no key of ECC_NIST_EDWARDS25519. Requests come from genuine boto3.
"""

import base64
import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ARN = "arn:aws:kms:eu-central-1:123456789012:key/0a1b2c3d-0000-4000-8000-000000000000"


class Kms:
    """The key, what was asked, and what goes wrong."""

    def __init__(self) -> None:
        self.private = Ed25519PrivateKey.generate()
        self.url = ""
        self.signed = 0
        self.refuses_with: str | None = None
        self.other_kind = False
        self.random = False

    def answer(self, operation: str, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if self.refuses_with is not None:
            return 400, {"__type": self.refuses_with, "message": "words of KMS"}
        if asked["KeyId"] != ARN:
            return 400, {"__type": "NotFoundException", "message": "words of KMS"}
        if operation == "GetPublicKey":
            public: Any = generate_private_key(SECP256R1()) if self.other_kind else self.private
            raw = public.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            return 200, {"KeyId": ARN, "PublicKey": base64.b64encode(raw).decode(), "KeyUsage": "SIGN_VERIFY"}
        text = base64.b64decode(asked["Message"])
        if (asked["MessageType"], asked["SigningAlgorithm"]) != ("RAW", "ED25519_SHA_512") or not 0 < len(text) <= 4096:
            return 400, {"__type": "ValidationException", "message": "words of KMS"}
        self.signed += 1
        # A hedged signature is a good one of the same text, and another each time: here, one of another text will do.
        signature = self.private.sign(text + bytes([self.signed]) if self.random and self.signed % 2 == 0 else text)
        return 200, {"KeyId": ARN, "Signature": base64.b64encode(signature).decode()}


@contextmanager
def kms_stand_in() -> Generator[Kms]:
    kms = Kms()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            status, answer = kms.answer(self.headers["x-amz-target"].removeprefix("TrentService."), asked)
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "application/x-amz-json-1.1")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Write nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    kms.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield kms
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
