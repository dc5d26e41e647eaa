"""A certificate of a test's own making, for servers of this machine."""

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from server.dev.postgres.account import owner_of


def certificate(cluster: Path, folder: Path) -> Path:
    """Write a key and a certificate for `localhost` into a data directory, and its authority into `folder`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for file, content in (("server.key", private), ("server.crt", made.public_bytes(serialization.Encoding.PEM))):
        path = cluster / file
        path.write_bytes(content)
        path.chmod(0o600)
        owner_of(cluster).own(path)
    authority = folder / "authority.crt"
    authority.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return authority
