"""The secret of each tenant, which salts its part of the checkpoints; only that tenant receives it.

It is the hash of a signature (Ed25519 signatures are deterministic, RFC 8032), so the tenant can verify with the
public key that the server used this secret: with another secret, records could be hidden.
"""

import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature

from server.audit import merkle
from server.audit.delegation import verify_grant
from server.audit.keys import PublicKeys, TrailSigner

_NOBODY: Final = b"tenantgate audit nobody"
_TENANT: Final = b"tenantgate audit tenant "


@dataclass(frozen=True, slots=True)
class TenantSecret:
    """Salts the records of one tenant only."""

    secret: bytes

    @classmethod
    def of_grant(cls, tenant: str, grant: bytes, keys: PublicKeys) -> "TenantSecret":
        """Return the secret that a grant gives; raise ValueError for a grant that no key of `keys` made."""
        for key in keys.values():
            try:
                verify_grant(key, grant, _TENANT + tenant.encode())
            except InvalidSignature:
                continue
            return cls(hashlib.sha256(grant).digest())
        raise ValueError("the tenant's secret belongs to an unknown key")

    def leaf(self, number: int, digest: str) -> bytes:
        """Return the leaf of the record with this number and hash."""
        salt = hmac.digest(self.secret, b"record %d" % number, "sha256")
        return merkle.leaf_hash(salt + bytes.fromhex(digest))

    def place(self, chain: str, epoch: int) -> bytes:
        """Return the key of this tenant in an epoch's table."""
        return hmac.digest(self.secret, f"place {chain} {epoch}".encode(), "sha256")

    def entry(self, count: int) -> bytes:
        """Return the table's value for `count` records."""
        return hmac.digest(self.secret, b"count %d" % count, "sha256")


class Secrets:
    """The secrets of all tenants, each made once."""

    def __init__(self, key: TrailSigner) -> None:
        """Make them with `key`."""
        self._key: Final = key
        self._known: Final = dict[str | None, TenantSecret]()

    def of(self, tenant: str | None) -> TenantSecret:
        """Return the secret of a tenant, or of the records without a tenant."""
        found = self._known.get(tenant)
        if found is None:
            text = _NOBODY if tenant is None else _TENANT + tenant.encode()
            found = self._known[tenant] = TenantSecret(hashlib.sha256(self._key.grant(text)).digest())
        return found

    def grant(self, tenant: str) -> bytes:
        """Return the grant with which a tenant verifies and makes its secret."""
        return self._key.grant(_TENANT + tenant.encode())
