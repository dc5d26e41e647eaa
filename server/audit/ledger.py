"""The content of the next checkpoint: the records since the last one, and how many records each tenant has.

Leaves and entries are salted with the tenant's secret, so that a tenant who gets a proof learns nothing about
others. An epoch begins with each file and each process.
"""

from typing import Final

from server.audit import merkle
from server.audit.secrets import Secrets
from server.audit.table import TenantTable


class Ledger:
    """The records of one epoch, as the checkpoints see them."""

    def __init__(self, secrets: Secrets) -> None:
        """Begin empty."""
        self._secrets: Final = secrets
        self.begin("", 0)

    def begin(self, chain: str, epoch: int) -> None:
        """Begin an epoch with the number of its `begin` record."""
        self.epoch = epoch
        self.table = TenantTable()
        self.pending: list[tuple[int, bytes, str | None]] = []
        self.counts: dict[str, int] = {}
        self._counted = 0
        self._chain = chain

    def add(self, number: int, digest: str, tenant: str | None) -> None:
        """Add a written record; its leaf is computed now, so that a checkpoint delays nobody."""
        self.pending.append((number, self._secrets.of(tenant).leaf(number, digest), tenant))

    def leaves(self) -> list[bytes]:
        """Return the leaves of the records since the last checkpoint, in order."""
        return [leaf for _, leaf, _ in self.pending]

    def commit(self) -> bytes:
        """Return the Merkle root of the records since the last checkpoint, and count them in the table."""
        root = merkle.root(self.leaves())
        added = [tenant for _, _, tenant in self.pending[self._counted :] if tenant is not None]
        self._counted = len(self.pending)
        for tenant in added:
            self.counts[tenant] = self.counts.get(tenant, 0) + 1
        for tenant in set(added):
            secret = self._secrets.of(tenant)
            self.table.put(secret.place(self._chain, self.epoch), secret.entry(self.counts[tenant]))
        return root

    def signed(self) -> None:
        """Forget the records that the checkpoint covers."""
        self.pending, self._counted = [], 0
