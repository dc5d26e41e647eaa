"""The rows of the utility, and what its SQL tool answers."""

from collections.abc import Mapping
from typing import Any, Final

from foreign.days import FOREVER, day_of_moment, parse_moment, show_day
from foreign.values import Kind, rank
from foreign.words import BIG_INTEGERS, EXACT_FLOATS, FLOATS, LABELS, NUMERICS, SPECIALS, TEXTS, Chance

ID_TYPE: Final = "integer"
OWNER: Final = "metering_owner"
LOGINS: Final = ("metering_app",)
SCHEMAS: Final = ("metering", "lab", "staging")
# The number of readings of each tenant. The third one, cut to 32 bits, would be the first.
TENANTS: Final = {"7": 60, "70": 25, "4294967303": 25, "12": 1, "9223372036854775807": 9, "32767": 0}
SPELLINGS: Final = {"007": "7", "0012": "12"}
ZONE: Final = "Europe/Berlin"


def rows() -> dict[str, list[dict[str, Any]]]:
    """Return the rows of each table."""
    chance = Chance(2)
    devices = [_device(chance, number, tenant) for number, tenant in enumerate(6 * list(TENANTS)[:-1], 1)]
    readings = [one for tenant, count in TENANTS.items() for one in _readings(chance, tenant, count, devices) if count]
    small = [tenant for tenant in TENANTS if int(tenant) < 2**31]
    samples = [_sample(chance, number, chance.choice(small[:-1])) for number in range(1, 120)]
    tariffs = {(one["org_id"], one["code"], one["valid_from"]): one for one in (_tariff(chance) for _ in range(60))}
    return {
        "metering.devices": devices,
        "metering.readings": readings,
        "lab.readings": samples,
        "metering.tariffs": [*tariffs.values()],
        "staging.readings": readings[:5],
    }


def _device(chance: Chance, number: int, tenant: str) -> dict[str, Any]:
    return {
        "device_id": number,
        "org_id": int(tenant),
        "label": chance.one(TEXTS),
        "installed_on": chance.one([chance.day()]),
        "active": chance.one([True, False]),
        "firmware": chance.one(["1.0", "1.10", "2", "NaN"]),
    }


def _readings(chance: Chance, tenant: str, count: int, devices: list[dict[str, Any]]) -> list[dict[str, Any]]:
    own = [one["device_id"] for one in devices if one["org_id"] == int(tenant)]
    found: dict[tuple[int, str], dict[str, Any]] = {}
    while len(found) < count:
        # A device of nobody, too.
        device, moment = chance.choice([*own, 4_711]), chance.choice([chance.moment(), _in_winter(chance)])
        found[device, moment] = {
            "org_id": int(tenant),
            "device": device,
            "taken_at": moment,
            "value": chance.one([*EXACT_FLOATS, *EXACT_FLOATS, *SPECIALS]),
            "raw": chance.one([*FLOATS, *SPECIALS]),
            "quality": chance.one([0.1, 0.5, 0.7, 1, "NaN"]),
            "pulses": chance.one(BIG_INTEGERS),
            "Flags": chance.some(LABELS),
        }
    return [*found.values()]


def _in_winter(chance: Chance) -> str:
    day, second = chance.randint(1, 28), chance.choice(["00:00:00", "23:00:00", "22:59:59.999999", "12:34:56.789"])
    return f"{chance.choice(['2025-12', '2026-01', '2026-02', '2026-03'])}-{day:02} {second}+00"


def _sample(chance: Chance, number: int, tenant: str) -> dict[str, Any]:
    return {
        "org_id": int(tenant),
        "id": number,
        "sample": chance.choice(LABELS),
        "value": chance.one([*NUMERICS, *SPECIALS], 0.3),
        "exact": chance.one(["0", "0.0000000001", "-12345678901234567890.0123456789", "3.3333333333", "2.5"]),
        "taken_on": chance.one([chance.day()]),
    }


def _tariff(chance: Chance) -> dict[str, Any]:
    return {
        "org_id": chance.choice([7, 12, 70, 32767]),
        "code": chance.choice([*LABELS, *TEXTS[:20]]),
        "price": chance.one(["0.00001", "9999.99999", "0", "1.5", "-1.5"]),
        "valid_from": chance.day(),
    }


def daily_pulses(tables: Mapping[str, list[dict[str, Any]]], arguments: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return all rows that the tool daily_pulses answers, before they are cut off and put into their forms."""
    labels = {one["device_id"]: one["label"] for one in tables["metering.devices"]}
    first, last = arguments.get("first", 0), arguments.get("last", 2**31 - 1)
    days: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for one in tables["metering.readings"]:
        moment = parse_moment(one["taken_at"])
        if abs(moment) != FOREVER and first <= int(one["device"]) <= last:
            days.setdefault((int(one["device"]), int(day_of_moment(moment, ZONE))), []).append(one)
    answers: list[dict[str, Any]] = []
    running: dict[int, int | None] = {}
    for device, day in sorted(days):
        own = sorted(days[device, day], key=lambda one: parse_moment(one["taken_at"]))
        pulses = [int(one["pulses"]) for one in own if one["pulses"] is not None]
        if pulses:
            running[device] = (running.get(device) or 0) + sum(pulses)
        answers.append(
            {
                "label": labels.get(str(device)),
                "device": device,
                "day": show_day(day),
                "pulses": sum(pulses) if pulses else None,
                "running": running.get(device),
                "qualities": [one["quality"] for one in own],
                "lowest": min((one["raw"] for one in own if one["raw"] is not None), key=_float_rank, default=None),
            }
        )
    return answers


def _float_rank(text: str) -> Any:
    return rank(text, Kind("float8"))


SQL_TOOLS: Final = {"daily_pulses": daily_pulses}


def sql_arguments(chance: Chance) -> dict[str, Any]:
    """Return random arguments of daily_pulses."""
    return chance.choice([{}, {"first": 3}, {"last": 12}, {"first": 4_711, "last": 4_711}, {"first": 2, "last": 20}])
