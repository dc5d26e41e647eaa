"""The caller's span, as a request names it (W3C Trace Context): in `_meta` of the message, or in the HTTP header.

Only ids and the flag are read. `tracestate` and baggage are dropped: a client can write anything into them.
"""

import re
from dataclasses import dataclass
from typing import Any, Final, cast

# Section 3.2: version, trace id, parent id, flags; ids of zeros and version ff are invalid.
_TRACEPARENT: Final = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")


@dataclass(frozen=True, slots=True)
class RemoteSpan:
    """A caller's span: ids in lower-case hexadecimal, and whether it is flagged as recorded."""

    trace_id: str
    span_id: str
    sampled: bool


def remote_span(text: Any) -> RemoteSpan | None:
    """Return the span that a traceparent names; None for an invalid one."""
    found = _TRACEPARENT.fullmatch(text) if isinstance(text, str) else None
    return found and RemoteSpan(found[1], found[2], bool(int(found[3], 16) & 1))


def span_of_header(value: bytes | None) -> RemoteSpan | None:
    """Return the span that an HTTP header names, None where there is none."""
    return remote_span(value.decode("latin-1")) if value else None


def span_of_message(message: Any) -> RemoteSpan | None:
    """Return the span that a message names in `params._meta.traceparent` (SEP-414), None where there is none."""
    params: Any = cast("dict[str, Any]", message).get("params") if isinstance(message, dict) else None
    meta: Any = cast("dict[str, Any]", params).get("_meta") if isinstance(params, dict) else None
    return remote_span(cast("dict[str, Any]", meta).get("traceparent")) if isinstance(meta, dict) else None
