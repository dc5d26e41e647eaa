"""A migration in steps: each step is committed separately, and is tried again while other sessions block it."""

import re
import time
from collections.abc import Callable
from typing import Any, Final, LiteralString, cast

import psycopg

from server.database.connecting import first_line
from server.errors import StartupError

# A line that begins with this begins a step; the text before the first one is not run.
STEP: Final = "-- tenantgate: step"
_TRIES: Final = 40
_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 1.0
_BUSY: Final = (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected)


def steps_of(text: str) -> list[tuple[str, str]]:
    """Return the name and the text of each step; none when the migration has to be applied as a whole."""
    parts = re.split(rf"(?m)^{re.escape(STEP)}[ \t]*(.*)$", text)
    return list(zip(parts[1::2], parts[2::2], strict=True))


def run_steps(
    connection: psycopg.Connection[Any],
    name: str,
    steps: list[tuple[str, str]],
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Run the steps of the migration `name` on a connection in autocommit mode.

    Raises StartupError for the first step that fails or does not get its lock. The steps before it stay applied, and
    the next run begins with the first step again, so it must be possible to repeat each step.
    """
    for number, (label, text) in enumerate(steps, 1):
        what = f"step {number} of {len(steps)}{f' ({label})' if label else ''} of the migration {name}"
        _run(connection, what, text, pause)


def _run(connection: psycopg.Connection[Any], what: str, text: str, pause: Callable[[float], None]) -> None:
    pause_s = _FIRST_PAUSE_S
    for _ in range(_TRIES):
        try:
            # The text is a file of the operator, never input.
            connection.execute(cast("LiteralString", text))
        except _BUSY:
            # A transaction that the step began is still open, in the failed state.
            connection.rollback()
            pause(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        except psycopg.Error as error:
            connection.rollback()
            raise StartupError(
                f"{what} failed and was rolled back: {first_line(error)}; correct the cause, and run `tenantgate "
                "migrate` again"
            ) from error
        else:
            return
    raise StartupError(
        f"{what} could not lock its table in {_TRIES} attempts and changed nothing, because other sessions hold it; "
        "run `tenantgate migrate` again when the table is less busy"
    )
