"""What the next checkpoint commits to: the records since the last one, and how many records each tenant has.

Leaves and entries are salted with secrets of their tenant, so that a tenant who is shown a proof learns nothing of
the others, and can be handed its own secret. An epoch begins with each file and each process.
"""

import hmac
from dataclasses import dataclass
from typing import Final

from server.audit import merkle
from server.audit.keys import SigningKey
from server.audit.table import Table

_PURPOSE: Final = b"tenantgate audit tenants"


@dataclass(frozen=True, slots=True)
class TenantSecret:
    """What salts the records of one tenant, and of nobody else."""

    secret: bytes

    def leaf(self, number: int, digest: str) -> bytes:
        """Return the leaf of the record with this number and hash."""
        salt = hmac.digest(self.secret, b"record %d" % number, "sha256")
        return merkle.leaf_hash(salt + bytes.fromhex(digest))

    def place(self, chain: str, epoch: int) -> bytes:
        """Return the key at which an epoch's table has this tenant."""
        return hmac.digest(self.secret, f"place {chain} {epoch}".encode(), "sha256")

    def entry(self, count: int) -> bytes:
        """Return the value that stands for `count` records."""
        return hmac.digest(self.secret, b"count %d" % count, "sha256")


class Secrets:
    """The secret of each tenant, derived from the signing key."""

    def __init__(self, key: SigningKey) -> None:
        """Derive nothing yet but the root of them all."""
        self._root: Final = key.derived(_PURPOSE)

    def of(self, tenant: str | None) -> TenantSecret:
        """Return the secret of a tenant, or of the records that are nobody's."""
        name = b"nobody" if tenant is None else b"tenant " + tenant.encode()
        return TenantSecret(hmac.digest(self._root, name, "sha256"))


class Ledger:
    """The records of one epoch, as the checkpoints see them."""

    def __init__(self, secrets: Secrets) -> None:
        """Begin empty."""
        self._secrets: Final = secrets
        self.begin("", 0)

    def begin(self, chain: str, epoch: int) -> None:
        """Begin an epoch."""
        self.epoch = epoch
        self.table = Table()
        self.pending: list[tuple[int, str, str | None]] = []
        self.counts: dict[str, int] = {}
        self._counted = 0
        self._chain = chain
        self._known: dict[str | None, TenantSecret] = {}

    def add(self, number: int, digest: str, tenant: str | None) -> None:
        """Take a record that was written."""
        self.pending.append((number, digest, tenant))

    def leaves(self) -> list[bytes]:
        """Return the leaves of the records since the last checkpoint, in their order."""
        return [self._secret(tenant).leaf(number, digest) for number, digest, tenant in self.pending]

    def commit(self) -> bytes:
        """Return the Merkle root of the records since the last checkpoint, and count them in the table."""
        root = merkle.root(self.leaves())
        added = [tenant for _, _, tenant in self.pending[self._counted :] if tenant is not None]
        self._counted = len(self.pending)
        for tenant in added:
            self.counts[tenant] = self.counts.get(tenant, 0) + 1
        for tenant in set(added):
            secret = self._secret(tenant)
            self.table.put(secret.place(self._chain, self.epoch), secret.entry(self.counts[tenant]))
        return root

    def signed(self) -> None:
        """Forget the records that a checkpoint was written for."""
        self.pending, self._counted = [], 0

    def _secret(self, tenant: str | None) -> TenantSecret:
        if tenant not in self._known:
            self._known[tenant] = self._secrets.of(tenant)
        return self._known[tenant]
