"""nginx and HAProxy in front of an origin, with the files of deploy/proxies: only addresses and file names differ."""

import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from support.ports import free_port
from support.request_variants import HOST

FILES = Path(__file__).parents[2] / "deploy" / "proxies"
_PATIENCE_S = 30.0


def installed(name: str) -> str | None:
    """Return where a program is; Debian keeps servers where an ordinary user's PATH does not lead."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


@dataclass(frozen=True)
class Proxy:
    """A running proxy: its port, how to trust it, and what it says that it was asked."""

    port: int
    tls: ssl.SSLContext
    log: Path

    def asked(self, name: str) -> bool:
        """Whether the proxy took a request of this person for one of its own; its address ends in the name."""
        return f"?{name} " in self.log.read_text(errors="replace")


@contextmanager
def nginx(origin_port: int, folder: Path, changed: Mapping[str, str] | None = None) -> Generator[Proxy]:
    """Run nginx with its file; `changed` lines are in place of the file's own."""
    certificate, key = _certificate(folder)
    port = free_port()
    text = _replaced(
        (FILES / "nginx.conf").read_text(),
        {
            "server 127.0.0.1:8000;": f"server 127.0.0.1:{origin_port};",
            "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
            "/etc/nginx/tls/mcp.example.com.crt": str(certificate),
            "/etc/nginx/tls/mcp.example.com.key": str(key),
            **(changed or {}),
        },
    )
    (folder / "tenantgate.conf").write_text(text)
    temporary = " ".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    # Debian's own nginx.conf has `sendfile on`: head and body of a larger request leave in two writes.
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log; events {{}}\n"
        f"http {{ sendfile on; access_log {folder}/access.log; {temporary} include {folder}/tenantgate.conf; }}\n"
    )
    command = [str(installed("nginx")), "-p", str(folder), "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf"]
    with _running(command, port, certificate, folder / "access.log") as proxy:
        yield proxy


@contextmanager
def haproxy(origin_port: int, folder: Path, changed: Mapping[str, str] | None = None) -> Generator[Proxy]:
    """Run HAProxy with its file; `changed` lines are in place of the file's own."""
    certificate, key = _certificate(folder)
    both = folder / "both.pem"
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    port = free_port()
    text = _replaced(
        (FILES / "haproxy.cfg").read_text(),
        {
            "server one 127.0.0.1:8000": f"server one 127.0.0.1:{origin_port}",
            "bind :443 ssl": f"bind 127.0.0.1:{port} ssl",
            "/etc/haproxy/tls/mcp.example.com.pem": str(both),
            **(changed or {}),
        },
    )
    (folder / "haproxy.cfg").write_text(text)
    command = [str(installed("haproxy")), "-db", "-f", str(folder / "haproxy.cfg")]
    with _running(command, port, certificate, folder / "output.log") as proxy:
        yield proxy


@contextmanager
def _running(command: Sequence[str], port: int, certificate: Path, log: Path) -> Generator[Proxy]:
    output = log.parent / "output.log"
    tls = ssl.create_default_context(cafile=str(certificate))
    with output.open("wb") as written, subprocess.Popen(command, stdout=written, stderr=written) as process:
        try:
            deadline = time.monotonic() + _PATIENCE_S
            while not _accepts(port):
                assert process.poll() is None, output.read_text()
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield Proxy(port, tls, log)
        finally:
            process.kill()


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _replaced(text: str, changes: Mapping[str, str]) -> str:
    for before, after in changes.items():
        assert before in text, f"the file does not hold {before!r}"
        text = text.replace(before, after)
    return text


def _certificate(folder: Path) -> tuple[Path, Path]:
    """Write a certificate for the host name and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    files = folder / "certificate.pem", folder / "key.pem"
    files[0].write_bytes(certificate.public_bytes(Encoding.PEM))
    files[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return files
