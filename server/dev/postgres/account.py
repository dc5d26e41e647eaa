"""The operating system account that PostgreSQL runs as: this one, or an unprivileged one where this one is root."""

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from server.errors import StartupError

# `postgres` exists where a PostgreSQL package created it; `nobody` exists everywhere.
UNPRIVILEGED: Final = ("postgres", "nobody")

# Nothing from the caller's environment: PGDATA, PGOPTIONS, LC_ALL or TZ would change what initdb and postgres do.
ENVIRONMENT: Final = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


@dataclass(frozen=True, slots=True)
class Account:
    """The account that a process runs as; None means this process's own and needs no privilege."""

    user: int | None = None
    group: int | None = None

    @property
    def extra_groups(self) -> list[int] | None:
        """The empty list, so that the account keeps none of root's supplementary groups; None for this account."""
        return None if self.user is None else []

    def own(self, path: Path) -> None:
        """Make the account the owner of one file or folder."""
        if self.user is not None and self.group is not None:
            os.chown(path, self.user, self.group, follow_symlinks=False)

    def can_enter(self, folder: Path) -> bool:
        """Whether the account can pass through `folder` and all folders above it."""
        return self.user is None or self._succeeds(["/bin/sh", "-c", 'cd -P -- "$1"', "sh", str(folder)])

    def can_run(self, program: Path) -> bool:
        """Whether the account can execute `program`, including its libraries."""
        return self._succeeds([str(program), "--version"])

    def _succeeds(self, command: list[str]) -> bool:
        """Run the command: permission bits do not show access lists, mount options or missing libraries."""
        try:
            tried = subprocess.run(  # noqa: S603  # fixed commands of this module's callers
                command,
                user=self.user,
                group=self.group,
                extra_groups=self.extra_groups,
                env=ENVIRONMENT,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                check=False,
            )
        except OSError:  # no access, not made for this machine, or no right to change the user
            return False
        return tried.returncode == 0


def postgres_account() -> Account:
    """Choose the account for new data: PostgreSQL refuses to run as root (StartupError without another account)."""
    if os.geteuid() != 0:
        return Account()
    for name in UNPRIVILEGED:
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(found.pw_uid, found.pw_gid)
    raise StartupError(
        f"PostgreSQL refuses to run as root and there is no account named {' or '.join(UNPRIVILEGED)}; "
        "run `tenantgate dev` as an ordinary user."
    )


def owner_of(path: Path) -> Account:
    """Choose the account for existing data: its owner, so that a `postgres` account created since changes nothing."""
    found = path.stat()
    return Account() if os.geteuid() != 0 or found.st_uid == 0 else Account(found.st_uid, found.st_gid)
