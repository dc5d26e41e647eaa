"""Which requests are traced: the standard OTEL_TRACES_SAMPLER, with one difference that protects against callers.

A caller's sampled flag and trace id cannot force a trace, because each trace costs something. So a request whose
parent is sampled is sampled at random too, with the ratio for requests without a parent.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from server.chance import CHANCE
from server.errors import SettingsError
from server.telemetry.parent import RemoteSpan

VARIABLE: Final = "OTEL_TRACES_SAMPLER"
ARGUMENT: Final = "OTEL_TRACES_SAMPLER_ARG"
DEFAULT_RATIO: Final = 0.05
_CONSTANT: Final = {"always_on": 1.0, "always_off": 0.0}
_RATIO: Final = "traceidratio"
_PARENT: Final = "parentbased_"


@dataclass(frozen=True, slots=True)
class Sampling:
    """The share of requests that is traced: `ratio` of all; none with an unsampled parent if `heeds_parent`."""

    ratio: float = DEFAULT_RATIO
    heeds_parent: bool = True

    def takes(self, parent: RemoteSpan | None) -> bool:
        """Whether to trace the next request."""
        if parent is not None and not parent.sampled and self.heeds_parent:
            return False
        return CHANCE.random() < self.ratio


def sampling_of(variables: Mapping[str, str]) -> Sampling:
    """Return the standard variables' sampling; by default 5 % of the requests, unless their parent is unsampled.

    Raises SettingsError for unknown values.
    """
    named, argument = variables.get(VARIABLE, "").strip(), variables.get(ARGUMENT, "").strip()
    kind = named.removeprefix(_PARENT)
    heeds_parent = named.startswith(_PARENT) or not named
    if kind in _CONSTANT:
        return Sampling(_CONSTANT[kind], heeds_parent)
    if kind not in {_RATIO, ""}:
        known = ", ".join(f"{prefix}{one}" for prefix in ("", _PARENT) for one in (*_CONSTANT, _RATIO))
        raise SettingsError(f"{VARIABLE} is {named!a}; set one of {known}")
    # The standard's own default for the argument is 1.
    ratio = argument or ("1" if named else str(DEFAULT_RATIO))
    try:
        value = float(ratio)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise SettingsError(f"{ARGUMENT} is {ratio!a}; set a number from 0 to 1")
    return Sampling(value, heeds_parent)
