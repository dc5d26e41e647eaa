"""Names of new database objects."""

import hashlib
from typing import Final

_NAME_BYTES: Final = 63


def object_name(*parts: str) -> str:
    """Return a name for a new index, constraint or function, never longer than PostgreSQL allows."""
    name = "_".join(parts)
    encoded = name.encode()
    if len(encoded) <= _NAME_BYTES:
        return name
    digest = hashlib.sha256(encoded).hexdigest()[:8]
    return f"{encoded[: _NAME_BYTES - 9].decode(errors='ignore')}_{digest}"
