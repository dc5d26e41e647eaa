"""A small front before PostgreSQL that asks for a password over TLS and takes a token of IAM for one, as RDS does.

It computes each token's signature anew by the rules of AWS's Signature Version 4, with the secret that it shares with
the client, and accepts a token for as long as a test says.
"""

import hashlib
import hmac
import socket
import ssl
import struct
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qsl, quote

ACCESS_KEY, SECRET = "AKIAOFATEST", "secret-of-a-test"
_SSL_REQUEST = 80_877_103


@dataclass
class Front:
    """Where it listens, and what it was told."""

    port: int = 0
    authority: Path = Path()
    tokens: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    sockets: list[socket.socket] = field(default_factory=list)
    threads: list[threading.Thread] = field(default_factory=list)
    accepted_s: float = 900.0

    def cut(self) -> None:
        """End every connection, as a failover does."""
        for one in self.sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self.sockets.clear()

    def problem(self, token: str, user: str, region: str) -> str | None:
        """Return why RDS would refuse the token."""
        place, _, query = token.partition("/?")
        parts = dict(parse_qsl(query))
        claimed = parts.pop("X-Amz-Signature", "")
        scope = f"{parts.get('X-Amz-Date', '')[:8]}/{region}/rds-db/aws4_request"
        made = datetime.strptime(parts.get("X-Amz-Date", "19700101T000000Z"), "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        wanted = {
            "Action": "connect",
            "DBUser": user,
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Credential": f"{ACCESS_KEY}/{scope}",
            "X-Amz-Expires": "900",
            "X-Amz-SignedHeaders": "host",
        }
        if place != f"localhost:{self.port}" or parts | wanted != parts:
            return f"not for this login: {parts}"
        text = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in sorted(parts.items()))
        request = f"GET\n/\n{text}\nhost:{place}\n\nhost\n{hashlib.sha256(b'').hexdigest()}"
        signed = f"AWS4-HMAC-SHA256\n{parts['X-Amz-Date']}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        key = b"AWS4" + SECRET.encode()
        for step in (*scope.split("/"), signed):
            key = hmac.digest(key, step.encode(), "sha256")
        if key.hex() != claimed:
            return "the signature does not hold"
        age_s = time.time() - made.timestamp()
        return None if age_s < self.accepted_s else f"expired: {age_s:.1f} s old"


@contextmanager
def rds_front(upstream_port: int, cluster: Path, authority: Path, region: str) -> Generator[Front]:
    """Listen on a loopback port with the certificate of `cluster`, in front of a server that trusts its clients."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cluster / "server.crt", cluster / "server.key")
    front = Front(authority=authority)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        front.port = listener.getsockname()[1]
        threading.Thread(target=_accept, args=(listener, front, upstream_port, context, region), daemon=True).start()
        try:
            yield front
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            front.cut()
            for thread in front.threads:
                thread.join(5)


def _accept(listener: socket.socket, front: Front, *more) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        thread = threading.Thread(target=_serve, args=(client, front, *more), daemon=True)
        front.threads.append(thread)
        thread.start()


def _serve(plain: socket.socket, front: Front, upstream_port: int, context: ssl.SSLContext, region: str) -> None:
    with suppress(OSError, struct.error), plain:
        # A cancel request, and somebody without TLS, are sent away: RDS asks for TLS too.
        if struct.unpack("!ii", plain.recv(8))[1] != _SSL_REQUEST:
            return
        plain.sendall(b"S")
        with context.wrap_socket(plain, server_side=True) as client:
            front.sockets.append(client)
            startup = _message(client, b"")
            names = startup[8:].split(b"\0")
            user = dict(zip(names[::2], names[1::2], strict=False))[b"user"].decode()
            client.sendall(b"R" + struct.pack("!ii", 8, 3))  # AuthenticationCleartextPassword
            token = _message(client, client.recv(1))[5:].rstrip(b"\0").decode()
            front.tokens.append(token)
            if (problem := front.problem(token, user, region)) is not None:
                front.refused.append(problem)
                words = b"SFATAL\0C28P01\0MPAM authentication failed for user\0\0"
                client.sendall(b"E" + struct.pack("!i", 4 + len(words)) + words)
                return
            with socket.create_connection(("127.0.0.1", upstream_port)) as upstream:
                front.sockets.append(upstream)
                upstream.sendall(startup)
                answers = threading.Thread(target=_pump, args=(upstream, client))
                answers.start()
                _pump(client, upstream)
                answers.join()


def _message(client: socket.socket, kind: bytes) -> bytes:
    head = client.recv(4)
    (length,) = struct.unpack("!i", head)
    body = b""
    while len(body) < length - 4:
        body += client.recv(length - 4 - len(body))
    return kind + head + body


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)
