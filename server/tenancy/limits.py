"""Budgets: how many requests per minute a person may send, and how many requests of a tenant may run per minute.

The counts belong to one process or, with `limits.store`, to all processes that use the same store. The database
itself limits how many statements of one tenant run at once.
"""

from typing import Final

from server.auth.access_token import AccessToken
from server.settings import LimitsSettings
from server.tenancy.budget import Budget
from server.tenancy.limit_store import LimitStore
from server.tenancy.shared_budgets import SharedBudgets

_COUNTED_ONCE_BYTES: Final = 4_096


def check_store(settings: LimitsSettings) -> None:
    """Raise SettingsError when there is a store that this installation cannot use."""
    Limits(settings)


class Limits:
    """Admits what fits the budgets.

    A request counts for the person before its body is read, and for the tenant when it runs. So a person who is over
    their own budget uses nothing of their colleagues' budget.
    """

    def __init__(self, settings: LimitsSettings, deployment: str = "") -> None:
        """Prepare the counts; a budget of 0 is not counted.

        The replicas of one `deployment` share their counts, apart from other deployments. Raises SettingsError when
        there is a store and its package is missing.
        """
        self._persons: Final = Budget("person", settings.calls_per_minute_per_person)
        self._tenants: Final = Budget("tenant", settings.calls_per_minute_per_tenant)
        url = settings.store.get_secret_value()
        self.shared: Final = SharedBudgets(LimitStore(url), deployment) if url else None

    async def open(self) -> None:
        """Connect to the store, if there is one; while it does not answer, each process counts on its own."""
        if self.shared is not None:
            await self.shared.open()

    async def close(self) -> None:
        """Disconnect from the store."""
        if self.shared is not None:
            await self.shared.close()

    async def admit(self, token: AccessToken) -> None:
        """Count one request of a person; raise LimitError when their budget is used up."""
        if self.shared is None:
            self._persons.spend(token.issuer, token.subject)
        else:
            await self.shared.spend(self._persons, token.issuer, token.subject)

    async def weigh(self, token: AccessToken, body: bytes) -> None:
        """Count a body once more for each further 4 KiB: the cost of parsing grows with its length."""
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
        """Take back a charge for a request that did not run."""
        if tenant is None:
            return
        if self.shared is None:
            self._tenants.give_back(tenant)
        else:
            self.shared.give_back(self._tenants, tenant)
