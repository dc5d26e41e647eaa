"""The URL of a store of limits: a Valkey or Redis server by TCP, by TLS, or by a socket of this machine.

No message of this file repeats any part of a URL: a misread part may be a piece of a password.
"""

from typing import Final, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

EXAMPLE: Final = "valkeys://user:password@host:6379/0"
_CLEAR: Final = frozenset({"valkey", "redis"})
_TLS: Final = frozenset({"valkeys", "rediss"})
_PORT: Final = 6_379
_DATABASE_DIGITS: Final = 4
_OPTIONS: Final = frozenset({"db", "ssl_ca_certs"})


class StoreAddress(NamedTuple):
    """The address of a store: `path` is a socket of this machine, None for a `host`."""

    host: str
    port: int
    path: str | None
    is_tls: bool
    authorities: str | None
    database: int
    user: str | None
    password: str | None


def store_address(url: str) -> StoreAddress:
    """Return the address in the URL; raise ValueError with the problem and the remedy.

    A certificate is always verified, so an option to turn that off is refused as unknown.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
        options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True)) if parts.query else {}
    except ValueError:
        raise ValueError(f"cannot be read; write {EXAMPLE}, and percent-encode the password") from None
    scheme, has_path = parts.scheme, parts.scheme == "unix"
    if not (has_path or scheme in _CLEAR | _TLS):
        raise ValueError(f"must look like {EXAMPLE}, or unix:///path/to/socket")
    if any(character.isspace() or not character.isprintable() for character in url) or parts.fragment:
        raise ValueError("contains a blank or a #; percent-encode the password")
    if not options.keys() <= _OPTIONS or ("ssl_ca_certs" in options and scheme not in _TLS):
        raise ValueError("has an unknown option; the options are db and, with valkeys:// and rediss://, ssl_ca_certs")
    if has_path and not parts.path.startswith("/"):
        raise ValueError("has no path of a socket; write unix:///path/to/socket")
    if not has_path and (not parts.hostname or port == 0):
        raise ValueError(f"has no valid host and port; write {EXAMPLE}")
    database = options.get("db") or ("" if has_path else parts.path.removeprefix("/")) or "0"
    if not (database.isascii() and database.isdigit() and len(database) <= _DATABASE_DIGITS):
        raise ValueError(f"must name the database by a number; write {EXAMPLE}")
    return StoreAddress(
        parts.hostname or "",
        port or _PORT,
        unquote(parts.path) if has_path else None,
        scheme in _TLS,
        options.get("ssl_ca_certs"),
        int(database),
        unquote(parts.username) if parts.username else None,
        unquote(parts.password) if parts.password else None,
    )
