"""The rows of the shop, and what its SQL tool answers."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from foreign.days import day_of_moment, parse_day, parse_moment
from foreign.words import BIG_INTEGERS, EXACT_FLOATS, INTEGERS, JSONS, LABELS, NUMERICS, SPECIALS, TEXTS, Chance

ID_TYPE: Final = "uuid"
OWNER: Final = "shop_owner"
LOGINS: Final = ("shop_app",)
SCHEMAS: Final = ("shop", "shop_archive")
# The number of orders of each tenant.
TENANTS: Final = {
    "0a4f0c5e-3c1b-4c55-9a52-0d6f3f2e9b01": 45,
    "0a4f0c5e-3c1b-4c55-9a52-0d6f3f2e9b02": 30,
    "ffffffff-ffff-4fff-bfff-ffffffffffff": 11,
    "b7d0c3f2-11aa-4e5d-8c1e-a1b2c3d4e5f6": 1,
    "00000000-0000-4000-8000-000000000000": 0,
}
# Other spellings of tenants that identity providers use.
SPELLINGS: Final = {
    "FFFFFFFF-FFFF-4FFF-BFFF-FFFFFFFFFFFF": "ffffffff-ffff-4fff-bfff-ffffffffffff",
    "B7D0c3f2-11aa-4e5d-8c1e-a1b2c3d4e5f6": "b7d0c3f2-11aa-4e5d-8c1e-a1b2c3d4e5f6",
}
STATUSES: Final = ["placed", "Paid", "shipped", "cancelled", "on hold", "archived"]
CURRENCIES: Final = ["EUR", "usd", "JPY", "Xé1"]


def rows() -> dict[str, list[dict[str, Any]]]:
    """Return the rows of each table, parents first."""
    chance = Chance(1)
    orders = [_order(chance, tenant, place) for tenant, count in TENANTS.items() for place in range(count)]
    items = [_item(chance, number, chance.one([one["id"] for one in orders], 0.05)) for number in range(1, 260)]
    # Some are of items that do not exist.
    known = [one["id"] for one in items]
    events = [_event(chance, chance.one([*known, 10_000, 10_001], 0.05)) for _ in range(300)]
    return {
        "shop.currencies": [_currency(chance, code) for code in CURRENCIES],
        "shop.orders": orders,
        "shop.items": items,
        "shop.item_events": events,
        "shop_archive.orders": [_order(chance, tenant, place) for tenant in TENANTS for place in range(3)],
    }


def _currency(chance: Chance, code: str) -> dict[str, Any]:
    return {
        "code": code,
        "name": f"{code} {chance.choice(LABELS)}",
        "symbol": chance.one(["€", "$", "", "¥"]),
        "minor_units": chance.one([0, 2, 3, -32768, 32767]),
        "rate": chance.one(NUMERICS),
        "fixed_on": chance.one([chance.day()]),
    }


def _order(chance: Chance, tenant: str, place: int) -> dict[str, Any]:
    return {
        "id": chance.identifier(),
        "account_id": tenant,
        # The same numbers in every account.
        "number": f"{chance.choice(['N-', 'n-', 'Ä-', ' N-', 'N-' + 50 * '0'])}{place // 2}",
        "customerName": chance.one(TEXTS),
        "status": chance.choice(STATUSES),
        "placed_at": chance.one([chance.moment()]),
        "due_on": chance.one([chance.day()]),
        "total": chance.one(["0.00", "0.01", "-5.25", "19.99", "9999999999.99", "100.00", "NaN", "100", "0.005"]),
        "weight": chance.one([*EXACT_FLOATS, *EXACT_FLOATS, *SPECIALS]),
        "quantity": chance.one(INTEGERS),
        "big_number": chance.one(BIG_INTEGERS),
        "express": chance.one([True, False], 0.3),
        "currency": chance.one(CURRENCIES),
        "tags": chance.some(TEXTS),
        "ratings": chance.some(INTEGERS),
        "visits": chance.some([chance.moment(), chance.moment()]),
        "attributes": chance.one([one for one in JSONS if one is not None]),
        "payload": chance.one([one for one in JSONS if one is not None]),
        "card_number": "4111 1111 1111 1111",
    }


def _item(chance: Chance, number: int, order: str | None) -> dict[str, Any]:
    return {
        "id": number if number % 9 else 2**53 + number,
        "order_id": order,
        "sku": chance.choice([*LABELS, *TEXTS]),
        "quantity": chance.one([0, 1, 2, 32767, -32768]),
        "price": chance.one(["0.0000", "0.0001", "12.3456", "999999.9999", "12.3456", "7"]),
        "discount": chance.one([*NUMERICS, *NUMERICS, *SPECIALS]),
        "note": chance.one(TEXTS),
        "gift": chance.random() < 0.5,
        "margin": "0.5",
    }


def _event(chance: Chance, item: int | None) -> dict[str, Any]:
    return {
        "event_id": chance.identifier(),
        "item_id": item,
        "kind": chance.one(["packed", "Packed", "sent", "", "lost"]),
        "happened_at": chance.moment(),
        "amount": chance.one([0.1, 0.2, 16777216, 3.4e38, -0.0, 1e-45, *SPECIALS]),
        "detail": chance.one([one for one in JSONS if one is not None]),
    }


def best_customers(tables: Mapping[str, list[dict[str, Any]]], arguments: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return all rows that the tool best_customers answers, before they are cut off and put into their forms."""
    since = parse_day(arguments["since"])
    orders = {
        one["id"]: one
        for one in tables["shop.orders"]
        if one["placed_at"] is not None
        and day_of_moment(parse_moment(one["placed_at"]), "UTC") >= since
        and one["status"] in arguments["states"]
    }
    items = [
        one
        for one in tables["shop.items"]
        if one["order_id"] in orders
        and ("least" not in arguments or (one["price"] and Decimal(one["price"]) >= Decimal(arguments["least"])))
    ]
    symbols = {one["code"]: one["symbol"] for one in tables["shop.currencies"]}
    answers: list[dict[str, Any]] = []
    for customer in {orders[one["order_id"]]["customerName"] for one in items}:
        own = [one for one in items if orders[one["order_id"]]["customerName"] == customer]
        amounts = [Decimal(one["quantity"]) * Decimal(one["price"]) for one in own if one["quantity"] and one["price"]]
        shown = [symbols.get(orders[one["order_id"]]["currency"]) for one in own]
        answers.append(
            {
                "customer": customer,
                "orders": len({one["order_id"] for one in own}),
                "amount": sum(amounts, Decimal("0.0000")) if amounts else None,
                "symbol": max((one for one in shown if one is not None), default=None),
                "literal": ":since",
            }
        )
    for one in answers:
        one["place"] = 1 + sum(_more(other["amount"], one["amount"]) for other in answers)
    answers.sort(key=lambda one: (one["place"], one["customer"] is None, one["customer"] or ""))
    return [one | {"amount": None if one["amount"] is None else f"{one['amount']:.4f}"} for one in answers]


def _more(left: Decimal | None, right: Decimal | None) -> bool:
    """Whether `left` stands before `right`: descending, with NULL at the end."""
    return left is not None and (right is None or left > right)


SQL_TOOLS: Final = {"best_customers": best_customers}


def sql_arguments(chance: Chance) -> dict[str, Any]:
    """Return random arguments of best_customers."""
    given: dict[str, Any] = {
        "since": chance.choice(["0001-01-01", "2025-12-29", "2026-01-05", "9999-12-31"]),
        "states": chance.sample(STATUSES, chance.choice([1, 2, 3, 6])),
    }
    return given | chance.choice([{}, {"least": "12.3456"}, {"least": "0"}, {"least": "100000"}])
