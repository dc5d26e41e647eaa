"""The count behind a budget: so many requests a minute for each, and only the last minute's people are kept."""

import pytest

from server.errors import LimitError
from server.settings import LimitsSettings
from server.tenancy.budget import Budget


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def refused_after(budget: Budget, who: str) -> int:
    """Return how many requests are admitted at once."""
    admitted = 0
    try:
        while admitted < 100:
            budget.spend(who)
            admitted += 1
    except LimitError:
        pass
    return admitted


def test_r100_a_minute_begins_with_its_first_request_and_has_as_many_as_were_set() -> None:
    """R100."""
    clock = Clock()
    budget = Budget("person", 3, clock)
    assert refused_after(budget, "mike") == 3
    clock.now += 59
    assert [refused_after(budget, who) for who in ("mike", "emma")] == [0, 3]
    clock.now += 1
    assert [refused_after(budget, who) for who in ("mike", "emma")] == [3, 0]


@pytest.mark.parametrize(("later", "seconds"), [(0, 60), (0.5, 60), (30, 30), (59.5, 1)])
def test_r100_a_refused_person_is_admitted_after_the_stated_time(later: float, seconds: int) -> None:
    """R100, RFC 6585 section 4."""
    clock = Clock()
    budget = Budget("person", 1, clock)
    budget.spend("mike")
    clock.now += later
    with pytest.raises(LimitError, match=f"Too many calls from this person; retry in {seconds} s.") as refused:
        budget.spend("mike")
    clock.now += refused.value.retry_after_s
    budget.spend("mike")


def test_a_charge_that_is_given_back_can_be_spent_again_and_no_more() -> None:
    budget = Budget("tenant", 2, Clock())
    budget.give_back("broker-a")
    budget.spend("broker-a")
    budget.give_back("broker-a")
    budget.give_back("broker-a")
    assert refused_after(budget, "broker-a") == 2


def test_a_budget_of_zero_refuses_nobody() -> None:
    assert refused_after(Budget("person", 0, Clock()), "mike") == 100


def test_people_of_earlier_minutes_are_forgotten() -> None:
    clock = Clock()
    budget = Budget("person", 10, clock)
    for number in range(1_000):
        budget.spend(str(number))
        clock.now += 1
    assert len(budget) == 60


def test_r100_budgets_are_on_where_nothing_is_set() -> None:
    """R100, R132."""
    limits = LimitsSettings()
    assert 0 < limits.calls_per_minute_per_person < limits.calls_per_minute_per_tenant
