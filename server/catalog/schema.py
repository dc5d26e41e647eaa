"""The arguments of a declared tool: one schema validates them and is shown to the model."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import CoreSchema, SchemaValidator, core_schema

from server.catalog.arguments import parse
from server.catalog.texts import plain_schema, printable

_BIGINT: Final = 2**63
# Longer numbers are useless here, and PostgreSQL refuses some of them.
_DIGITS: Final = 100
# The largest offset that PostgreSQL accepts.
_OFFSET: Final = timedelta(hours=15, minutes=59)


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument; `default` is used only if it is not required."""

    name: str
    schema: CoreSchema
    description: str
    required: bool = False
    default: Any = None


class ArgumentSchema:
    """The arguments of one tool; an unknown one is an error, because dropping a filter would return more rows."""

    def __init__(self, description: str, arguments: Sequence[Argument]) -> None:
        """Keep the arguments; schemas are built later, so that a server with hundreds of tools starts quickly."""
        self._description: Final = description
        self._arguments: Final = arguments

    def parse(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments with the defaults filled in; raises ArgumentsError that names each wrong one."""
        return parse(self._validator, self._names, arguments)

    @cached_property
    def json_schema(self) -> dict[str, Any]:
        """The schema for tools/list."""
        required = [one.name for one in self._arguments if one.required]
        return {
            "additionalProperties": False,
            "properties": {one.name: _shown(one) for one in self._arguments},
            **({"required": required} if required else {}),
            "type": "object",
            "description": self._description,
        }

    @cached_property
    def _names(self) -> dict[str, bool]:
        return {one.name: one.required for one in self._arguments}

    @cached_property
    def _schema(self) -> CoreSchema:
        fields = {
            one.name: core_schema.typed_dict_field(_with_default(one), required=one.required) for one in self._arguments
        }
        return core_schema.typed_dict_schema(fields, extra_behavior="forbid")

    @cached_property
    def _validator(self) -> SchemaValidator:
        return SchemaValidator(self._schema)


def _with_default(argument: Argument) -> CoreSchema:
    if argument.required:
        return argument.schema
    inner = argument.schema if argument.default is not None else core_schema.nullable_schema(argument.schema)
    return core_schema.with_default_schema(inner, default=argument.default)


# A cache: generating one takes 0.1 ms, and a catalog can have thousands of arguments of few kinds.
_SHOWN: Final[dict[str, dict[str, Any]]] = {}


def _shown(argument: Argument) -> dict[str, Any]:
    """Return the schema of one argument for tools/list."""
    schema = _with_default(argument)
    kind = repr(schema)
    if kind not in _SHOWN:
        _SHOWN[kind] = GenerateJsonSchema().generate(schema)
    described = _SHOWN[kind] | {"description": argument.description}
    return plain_schema(dict(sorted(described.items())))


def text(max_length: int, pattern: str | None = None) -> CoreSchema:
    """Accept a text of 1 to `max_length` characters; leading and trailing blanks are removed."""
    inner = core_schema.str_schema(min_length=1, max_length=max_length, strip_whitespace=True, pattern=pattern)
    return core_schema.no_info_after_validator_function(printable, inner)


def one_of(values: Sequence[str]) -> CoreSchema:
    """Accept one of the given texts."""
    return core_schema.literal_schema(list(values))


def integer(minimum: float | None = None, maximum: float | None = None) -> CoreSchema:
    """Accept a whole number that fits into 64 bits."""
    lowest = -_BIGINT if minimum is None else int(minimum)
    highest = _BIGINT - 1 if maximum is None else int(maximum)
    return core_schema.int_schema(ge=lowest, le=highest)


def decimal(minimum: float | None = None, maximum: float | None = None, places: int | None = None) -> CoreSchema:
    """Accept a number, or a text that contains one; never NaN or infinity."""
    inner = core_schema.decimal_schema(
        ge=None if minimum is None else Decimal(str(minimum)),
        le=None if maximum is None else Decimal(str(maximum)),
        decimal_places=places,
        allow_inf_nan=False,
    )
    return core_schema.no_info_after_validator_function(_of_some_digits, inner)


def _of_some_digits(number: Decimal) -> Decimal:
    # This applies to zero too: 0E-20000 would be written with 20000 digits.
    if number.adjusted() >= _DIGITS or number.as_tuple().exponent < -_DIGITS:  # pyright: ignore[reportOperatorIssue]
        raise ValueError(f"must have at most {_DIGITS} digits before and after the point")
    return number


def day() -> CoreSchema:
    """Accept a date, YYYY-MM-DD, in the years 1 to 9999."""
    return core_schema.no_info_before_validator_function(_day, core_schema.date_schema())


def timestamp() -> CoreSchema:
    """Accept an ISO 8601 timestamp with an offset from UTC, in the years 1 to 9999."""
    return core_schema.no_info_before_validator_function(_moment, core_schema.datetime_schema(tz_constraint="aware"))


# Without these patterns, pydantic would read a text of digits as seconds since 1970.
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,9})?)?"
    r"(?P<offset>[Zz]|[+-][0-9]{2}:?[0-9]{2})?"
)


def _day(value: object) -> date:
    wrong = "Input should be a valid date in the format YYYY-MM-DD"
    if not isinstance(value, str) or not _DAY.fullmatch(value):
        raise ValueError(wrong)
    try:
        return date.fromisoformat(value)
    except ValueError as error:
        raise ValueError(f"{wrong}: {error}") from None


def _moment(value: object) -> datetime:
    found = _MOMENT.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("Input should be a valid datetime such as 2026-03-01T09:30:00Z")
    if found["offset"] is None:
        raise ValueError("Input should have timezone info: end it with its offset from UTC, such as Z or +01:00")
    try:
        moment = datetime.fromisoformat(found[0].upper())
    except ValueError as error:
        raise ValueError(f"Input should be a valid datetime: {error}") from None
    if abs(moment.utcoffset() or timedelta()) > _OFFSET:
        raise ValueError("Input should have an offset from UTC of at most 15:59 hours")
    return moment


SCALARS: Final[Mapping[str, Callable[[], CoreSchema]]] = {
    "boolean": core_schema.bool_schema,
    "date": day,
    "timestamp": timestamp,
    "uuid": core_schema.uuid_schema,
}


def matches(pattern: str) -> bool:
    """Whether `pattern` is a regular expression for both the validator and Python."""
    try:
        SchemaValidator(core_schema.str_schema(pattern=pattern))
        re.compile(pattern)
    except Exception:  # noqa: BLE001  # pydantic_core raises its own class for a pattern that is none
        return False
    return True
