"""The settings of budgets."""

from typing import Annotated

from pydantic import Field

from server.settings.values import Section


class LimitsSettings(Section):
    """Budgets of each worker process, per tenant and per person; 0 stands for no limit."""

    # A tenth of what one worker answers, and for one person a quarter of that.
    calls_per_minute_per_tenant: Annotated[int, Field(ge=0)] = 12_000
    calls_per_minute_per_person: Annotated[int, Field(ge=0)] = 3_000
