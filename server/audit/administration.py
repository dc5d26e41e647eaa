"""Record what operators do: a verb that changes something is recorded in the audit trail, or fails."""

import getpass
import os
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from server.errors import AuditError, StartupError, TenantgateError

# The verbs that change the database, its keys, the registry or the knowledge base.
_VERBS: Final = frozenset(
    {
        *(
            ("migrate",),
            ("adopt",),
            ("keys", "add"),
            ("keys", "retire"),
            ("documents", "sync"),
            ("documents", "canaries"),
            ("audit", "database"),
        ),
        *(("tenants", verb) for verb in ("add", "deactivate", "activate", "map", "unmap", "sync")),
    }
)
_MOST_ARGUMENTS: Final = 30
_ARGUMENT_CHARACTERS: Final = 200


@contextmanager
def recorded(arguments: Sequence[str]) -> Generator[None]:
    """Run a verb of the command line; raise StartupError when it changes something and cannot be recorded."""
    verb = next((verb for verb in _VERBS if tuple(arguments[: len(verb)]) == verb), None)
    trail = None if verb is None or "--help" in arguments else _trail(arguments)
    if verb is None or trail is None:
        yield
        return
    did: dict[str, Any] = {"event": "administration", "did": " ".join(verb), "by": _user(), "process": os.getpid()}
    did["with"] = [one[:_ARGUMENT_CHARACTERS] for one in arguments[len(verb) : _MOST_ARGUMENTS]]
    try:
        trail.append(did | {"outcome": "begun"})
        outcome = "done"
        try:
            yield
        except SystemExit as ended:
            outcome = "done" if not ended.code else "failed"
            raise
        except BaseException as error:
            outcome = type(error).__name__ if isinstance(error, TenantgateError) else "failed"
            raise
        finally:
            trail.append(did | {"outcome": outcome})
    except AuditError as error:
        raise StartupError(
            f"the audit trail {trail.path} cannot be written ({error.__cause__}); free disk space, or correct "
            "audit.path"
        ) from error
    finally:
        trail.close()


def _trail(arguments: Sequence[str]) -> Any:
    """Return the trail of the settings that the verb will read; None where there is none."""
    from server.audit.configured import configured_trail
    from server.configuration import load_settings

    return configured_trail(load_settings(_config(arguments)).audit, announced=False)


def _config(arguments: Sequence[str]) -> Any:
    from pathlib import Path

    for at, one in enumerate(arguments):
        if one.startswith("--config="):
            return Path(one.partition("=")[2])
        if one == "--config" and at + 1 < len(arguments):
            return Path(arguments[at + 1])
    return None


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}" if sys.platform != "win32" else "unknown"
