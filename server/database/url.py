"""The URL of a database: refuse one that libpq would read in another way than people do.

No message of this file repeats a part of a URL: the misread part may belong to a password.
"""

import re
from typing import Final
from urllib.parse import parse_qs, urlsplit

SCHEMES: Final = ("postgresql://", "postgres://")
_EXAMPLE: Final = "postgresql://user@host:5432/database"
_ENCODED: Final = re.compile(r"%(?!00)[0-9A-Fa-f]{2}")
_PORT: Final = re.compile(r"(?::[0-9]*)?")
# The percent-encoding of each character that ends a part of the URL.
_CODES: Final = {"@": "%40", "/": "%2F", "?": "%3F"}


def mistake_in(url: str) -> str | None:
    """Return the mistake in the URL with the remedy, None when the URL is unambiguous.

    For libpq, the first `@` ends the password, and a `/` before it ends the host (PostgreSQL, section 34.1.1.2).
    """
    scheme = next((one for one in SCHEMES if url.startswith(one)), None)
    if scheme is None:
        return f"must look like {_EXAMPLE}"
    if any(character.isspace() or not character.isprintable() for character in url):
        return "contains a blank; percent-encode it: write %20"
    if "%" in _ENCODED.sub("", url):
        return (
            "contains a % that begins no code; percent-encode it: write %25 for % in a user, password or database name"
        )
    rest = url.removeprefix(scheme)
    if (character := _misplaced(rest)) is not None:
        return (
            f"contains a {character} that ends another part of the URL; percent-encode the user and the password: "
            f"write {_CODES[character]} for {character}"
        )
    authority = re.split("[/?]", rest, maxsplit=1)[0]
    if not all(_is_host(one) for one in authority.rpartition("@")[2].split(",")):
        return f"has no valid host and port; write {_EXAMPLE}, and percent-encode the password"
    return None


def has_password(url: str) -> bool:
    """Whether the URL, which must be unambiguous, contains a password."""
    parts = urlsplit(url)
    return bool(parts.password) or "password" in parse_qs(parts.query)


def _misplaced(rest: str) -> str | None:
    """Return a character of the user or password at which libpq would end another part; `rest` follows the scheme."""
    before_query = rest.partition("?")[0]
    authority, _, path = before_query.partition("/")
    if authority.count("@") > 1 or ("@" in authority and "@" in path):
        return "@"
    if "@" in path:
        # The slash is inside a password, and the `@` after it ends the password.
        return "/"
    return "?" if _ends_in_the_query(rest) else None


def _ends_in_the_query(rest: str) -> bool:
    """Whether libpq would search for the end of the password after the question mark."""
    user, mark, _ = rest.partition("@")
    return bool(mark) and "/" not in user and "?" in user


def _is_host(text: str) -> bool:
    """Whether `text` is a host with or without a port, an IPv6 address in brackets, an encoded socket, or empty."""
    host, bracket, port = text.rpartition("]")
    if bracket:
        return host.startswith("[") and "[" not in host[1:] and bool(_PORT.fullmatch(port))
    host, colon, port = text.partition(":")
    return "[" not in host and bool(_PORT.fullmatch(colon + port))
