"""How many files this process may have open: each connection is one."""

from typing import Final

import structlog

try:
    import resource
except ImportError:  # Windows has no such limit
    resource = None

# For the database, AWS, the issuers' keys, the logs, and what the libraries open.
_RESERVED: Final = 512
_MOST: Final = 1_048_576
_log: Final = structlog.get_logger("connections")


def raise_file_limit() -> int:
    """Raise the soft limit to the hard one, and return it."""
    if resource is None:
        return _MOST
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST if hard == resource.RLIM_INFINITY else min(hard, _MOST)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError):  # a system with a lower limit of its own
            return soft
        return wanted
    return _MOST if soft == resource.RLIM_INFINITY else soft


def affordable(wanted: int) -> int:
    """Return how many of `wanted` connections this process can hold beside its own files; say so where it is fewer."""
    limit = raise_file_limit()
    possible = limit - min(_RESERVED, limit // 2)
    if possible < wanted:
        message = (
            "this process may open too few files for connections.maximum; raise its limit (LimitNOFILE, ulimit -n)"
        )
        _log.warning(message, files=limit, connections=possible)
    return min(wanted, possible)
