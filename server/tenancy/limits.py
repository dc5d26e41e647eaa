"""Budgets: how many requests a minute a person may send, and how many of a tenant's requests run.

The counts are one process's or, with `limits.store`, those of all processes together that use the same store.
How many statements of one tenant run at once is the database's to share out.
"""

from typing import Final

from server.auth.access_token import AccessToken
from server.settings import LimitsSettings
from server.tenancy.budget import Budget
from server.tenancy.limit_store import LimitStore
from server.tenancy.shared_budgets import SharedBudgets

_COUNTED_ONCE_BYTES: Final = 4_096


def check_store(settings: LimitsSettings) -> None:
    """Raise SettingsError when there is a store and it cannot be used by this installation."""
    Limits(settings)


class Limits:
    """Admits what fits the budgets.

    The person is asked for every request, before its body is read; the tenant is charged for what runs. So a person who
    is over their own budget uses nothing of their colleagues'.
    """

    def __init__(self, settings: LimitsSettings, deployment: str = "") -> None:
        """Prepare the counts; a budget of 0 is not counted.

        The replicas of one `deployment` share their counts; those of others do not touch them. Raises SettingsError
        when there is a store and the package for it is missing.
        """
        self._persons: Final = Budget("person", settings.calls_per_minute_per_person)
        self._tenants: Final = Budget("tenant", settings.calls_per_minute_per_tenant)
        url = settings.store.get_secret_value()
        self.shared: Final = SharedBudgets(LimitStore(url), deployment) if url else None

    async def open(self) -> None:
        """Connect to the store, where there is one; without an answer of it each process counts on its own."""
        if self.shared is not None:
            await self.shared.open()

    async def close(self) -> None:
        """Leave the store."""
        if self.shared is not None:
            await self.shared.close()

    async def admit(self, token: AccessToken) -> None:
        """Count one request of a person; raise LimitError when their budget is used up."""
        if self.shared is None:
            self._persons.spend(token.issuer, token.subject)
        else:
            await self.shared.spend(self._persons, token.issuer, token.subject)

    async def weigh(self, token: AccessToken, body: bytes) -> None:
        """Count a body once more for each further 4 KiB: what it costs to parse one grows with its length."""
        further = max(0, len(body) - 1) // _COUNTED_ONCE_BYTES
        if not further:
            return
        if self.shared is None:
            self._persons.spend(token.issuer, token.subject, count=further)
        else:
            await self.shared.spend(self._persons, token.issuer, token.subject, count=further)

    async def charge(self, tenant: str | None) -> None:
        """Count one request that runs for `tenant`, if there is one; raise LimitError when its budget is used up."""
        if tenant is None:
            return
        if self.shared is None:
            self._tenants.spend(tenant)
        else:
            await self.shared.spend(self._tenants, tenant)

    async def refund(self, tenant: str | None) -> None:
        """Take back a charge for what did not run after all."""
        if tenant is None:
            return
        if self.shared is None:
            self._tenants.give_back(tenant)
        else:
            self.shared.give_back(self._tenants, tenant)
