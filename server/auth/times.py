"""When a token is valid, and how wrong a clock is when it is not.

The caller sees none of it: comparing answers would reveal this server's clock.
"""

from collections.abc import Mapping
from typing import Any, Final

from server.errors import TokenRefusedError

# For clocks that differ; expiry has no leeway, because a client that renews in time does not need it.
LEEWAY_S: Final = 60
# A date in a header has whole seconds, and an answer takes time to arrive.
NOTICED_S: Final = 10


def check_times(claims: Mapping[str, Any], maximum_s: int, now: float, clock_ahead_s: float | None) -> int:
    """Return the expiry, in seconds since the epoch, of a token that may live for `maximum_s`.

    `clock_ahead_s` is how far this server's clock was ahead of the issuer's, None when that is not known. Raises
    TokenRefusedError, whose detail names the clocks and the difference.
    """
    expiry = _time(claims, "exp")
    # Without `iat` the lifetime counts from now, so that it is limited in any case.
    issued, not_before = _time(claims, "iat", now), _time(claims, "nbf", now)
    if expiry <= now:
        raise TokenRefusedError("expired", _expired(now - expiry, now - issued, clock_ahead_s))
    for name, value in (("iat", issued), ("nbf", not_before)):
        if value > now + LEEWAY_S:
            raise TokenRefusedError("not valid yet", _early(name, value - now, clock_ahead_s))
    if expiry - issued > maximum_s:
        raise TokenRefusedError("lives longer than this issuer's tokens may")
    return int(expiry)


def clocks(clock_ahead_s: float) -> str:
    """Return which clock is ahead, and by how much."""
    direction = "ahead of" if clock_ahead_s > 0 else "behind"
    return f"this server's clock is {abs(clock_ahead_s):.0f} s {direction} the issuer's"


def _early(name: str, difference_s: float, clock_ahead_s: float | None) -> str:
    difference = f"{name} is {difference_s:.0f} s ahead of this server's clock"
    if clock_ahead_s is None:
        return f"{difference}: the issuer's clock is ahead, or this server's is behind"
    return f"{difference}; {_measured(clock_ahead_s)}"


def _expired(ago_s: float, age_s: float, clock_ahead_s: float | None) -> str:
    difference = f"exp was {ago_s:.0f} s ago, iat {age_s:.0f} s ago"
    if clock_ahead_s is not None:
        return f"{difference}; {_measured(clock_ahead_s)}"
    return f"{difference}; if it was issued just now, {clocks(age_s)}" if age_s > 0 else difference


def _measured(clock_ahead_s: float) -> str:
    return clocks(clock_ahead_s) if abs(clock_ahead_s) >= NOTICED_S else "this server's clock agrees with the issuer's"


def _time(claims: Mapping[str, Any], name: str, default: float | None = None) -> float:
    value = claims.get(name, default)
    # Infinity fails the comparison; the parser rejects NaN.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 2**53:
        raise TokenRefusedError(f"{name} is missing or not a time")
    return value
