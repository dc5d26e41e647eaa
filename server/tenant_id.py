"""Tenant ids: one canonical spelling per tenant, before anything is signed, counted, compared or logged."""

import re
from typing import Final, Literal
from uuid import UUID

from server.settings import TENANT_ID

IdType = Literal["text", "uuid", "integer"]
_TEXT: Final = re.compile(TENANT_ID)
_UUID: Final = re.compile(r"[0-9A-Fa-f]{32}|[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_DIGITS: Final = re.compile(r"[0-9]{1,128}")
# PostgreSQL's bigint, the widest integer type of a tenant column.
_LARGEST_INTEGER: Final = 2**63 - 1
_TEXT_CHARACTERS: Final = 128


def canonical_tenant(value: object, id_type: IdType) -> str | None:
    """Return the canonical spelling of a tenant id, or None when it is not an id of this type.

    `value` comes from a claim, an address, a command line or a table. A JSON integer becomes its decimal text;
    booleans, floats and everything else that is not text are refused. UUIDs: lower case with hyphens; upper case and
    32 hexadecimal digits without hyphens are accepted too. Integers: 0 to 2^63-1, without leading zeros.
    """
    # `True` is an int in Python, but not an id.
    if type(value) is int and id_type != "uuid":
        value = str(value) if 0 <= value < 10**_TEXT_CHARACTERS else None
    if not isinstance(value, str):
        return None
    match id_type:
        case "text":
            return value if _TEXT.fullmatch(value) else None
        case "uuid":
            return str(UUID(value)) if _UUID.fullmatch(value) else None
        case "integer":
            return str(int(value)) if _DIGITS.fullmatch(value) and int(value) <= _LARGEST_INTEGER else None
