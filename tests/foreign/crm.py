"""The rows of the customer relations program, and what its SQL tool answers."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from foreign.days import parse_moment
from foreign.totals import rounded
from foreign.values import lower
from foreign.words import LABELS, NUMERICS, SPECIALS, TEXTS, Chance

ID_TYPE: Final = "text"
OWNER: Final = "crm_owner"
LOGINS: Final = ("crm_app",)
SCHEMAS: Final = ("crm", "Import")
# The number of contacts of each tenant; the ids differ in letter case or in length alone.
TENANTS: Final = {"org_9ybsU1dN": 40, "org_9ybsu1dn": 25, "org_9ybsU1d": 12, "ORG.a:b@c-d": 1, "0": 0}
SPELLINGS: Final[dict[str, str]] = {}
STAGES: Final = ["lead", "Offer", "won", "lost"]


def rows() -> dict[str, list[dict[str, Any]]]:
    """Return the rows of each table, parents first."""
    chance = Chance(3)
    contacts = [_contact(chance, tenant, place) for tenant, count in TENANTS.items() for place in range(count)]
    deals = [_deal(chance, tenant, place, count) for tenant, count in TENANTS.items() for place in range(2 * count)]
    return {"crm.Contacts": contacts, "crm.deals": deals, "Import.Contacts": contacts[:20]}


def _contact(chance: Chance, tenant: str, place: int) -> dict[str, Any]:
    return {
        "tenantRef": tenant,
        # The same numbers in every tenant.
        "contactNo": place - 3,
        'full "name"': chance.one(TEXTS),
        "email": chance.one([f"{name}@example.test" for name in LABELS]),
        "workEmail": chance.one(["a@b", "ä@ö", "A@B", "'@\""]),
        "born": chance.one([chance.day()]),
        "createdAt": chance.one([chance.moment("")]),
        "select": chance.one(LABELS, 0.3),
        "vip": chance.one([True, False]),
        "deletedAt": chance.one(["2026-01-01 00:00:00"], 0.7),
        "notes": chance.one(TEXTS),
    }


def _deal(chance: Chance, tenant: str, place: int, contacts: int) -> dict[str, Any]:
    return {
        "tenantRef": tenant,
        "dealNo": place + 1,
        "contactNo": chance.one(range(-3, contacts - 3), 0.2),
        "title": chance.choice(TEXTS),
        "amount": chance.one(["0.00", "1000000.00", "99.99", "0.01", "250", "33.33", "-1.00"]),
        "stage": chance.one(STAGES),
        "closed_on": chance.one([chance.day()]),
        "modifiedAt": chance.one([chance.moment("")]),
        "probability": chance.one(["0.00", "0.05", "0.50", "1.00", "NaN"]),
        "commission": chance.one([*NUMERICS, *SPECIALS]),
    }


def view_rows(tables: Mapping[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return the rows of crm.pipeline, of the rows of its two tables."""
    contacts = {(one["tenantRef"], one["contactNo"]): one for one in tables["crm.Contacts"]}
    found: list[dict[str, Any]] = []
    for deal in tables["crm.deals"]:
        contact = contacts.get((deal["tenantRef"], deal["contactNo"]), {})
        if contact.get("deletedAt") is None:
            own = {name: deal[name] for name in ("tenantRef", "title", "amount", "stage")}
            name, email = contact.get('full "name"'), contact.get("email")
            found.append(
                own | {"deal": deal["dealNo"], "contact": name, "email": email, "changed_at": deal["modifiedAt"]}
            )
    return found


VIEWS: Final = {"crm.pipeline": view_rows}


def stage_shares(tables: Mapping[str, list[dict[str, Any]]], arguments: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return all rows that the tool stage_shares answers, before they are cut off and put into their forms."""
    vips = {(one["tenantRef"], one["contactNo"]): one["vip"] for one in tables["crm.Contacts"]}
    word, won = lower(arguments.get("word", "e")), arguments.get("won", False)
    stages: dict[str, list[dict[str, Any]]] = {}
    for one in tables["crm.deals"]:
        if word in lower(one["title"]) and (not won or one["stage"] == "won"):
            stages.setdefault(one["stage"] or "(none)", []).append(one)
    amounts = {
        stage: [Decimal(one["amount"]) for one in own if one["amount"] is not None] for stage, own in stages.items()
    }
    everything = sum((sum(some) for some in amounts.values()), Decimal("0.00"))
    answers: list[dict[str, Any]] = []
    for stage, own in sorted(stages.items()):
        total = sum(amounts[stage], Decimal("0.00")) if amounts[stage] else None
        known = [one for deal in own if (one := vips.get((deal["tenantRef"], deal["contactNo"]))) is not None]
        share = None if total is None or not everything else (100 * total / everything)
        answers.append(
            {
                "stage": stage,
                "deals": len(own),
                "amount": None if total is None else f"{total:.2f}",
                "share": None if share is None else rounded(share, 1),
                "vip": ("true" if "true" in known else "false") if known else None,
                "latest": max((one["modifiedAt"] for one in own if one["modifiedAt"]), key=parse_moment, default=None),
            }
        )
    return answers


SQL_TOOLS: Final = {"stage_shares": stage_shares}


def sql_arguments(chance: Chance) -> dict[str, Any]:
    """Return random arguments of stage_shares."""
    word = chance.choice([{}, {"word": "ANN"}, {"word": "_"}, {"word": "'"}, {"word": "Σ"}, {"word": "zzz"}])
    return word | chance.choice([{}, {"won": True}, {"won": False}])
