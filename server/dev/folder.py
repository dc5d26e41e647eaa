"""The data folder of `tenantgate dev`, and the lock that lets only one process use it."""

import fcntl
import os
import stat
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from server.errors import StartupError

VARIABLE: Final = "TENANTGATE_DEV_FOLDER"


def data_folder(chosen: Path | None = None) -> Path:
    """Create and return the folder: `chosen`, else $TENANTGATE_DEV_FOLDER, else .tenantgate; or raise StartupError."""
    asked = chosen or Path(os.environ.get(VARIABLE) or ".tenantgate")
    try:
        # Resolved, so that a link made on purpose works and the checks below examine its target.
        return private_folder(asked.expanduser().resolve())
    except (OSError, RuntimeError) as error:
        raise StartupError(f"The folder {asked} cannot be used ({error}); choose another one with --folder.") from error


def private_folder(path: Path) -> Path:
    """Create `path`, or verify that it is a real folder of this account that is not open to all (StartupError)."""
    try:
        path.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        _verify(path)
    else:
        # PostgreSQL refuses to run as root, so its account must pass through root's folder, but cannot list it. Without
        # root, no other account has any access.
        path.chmod(0o711 if os.geteuid() == 0 else 0o700)
    return path


def _verify(path: Path) -> None:
    """Raise StartupError for a folder that another account made or can write to: anyone can make one in /tmp."""
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode):
        problem = "is not a folder"
    elif found.st_uid != os.geteuid():
        problem = f"belongs to another account (uid {found.st_uid})"
    elif found.st_mode & stat.S_IWOTH:
        problem = "can be written to by everybody"
    else:
        return
    raise StartupError(f"{path} {problem}; remove it or choose another folder with --folder.")


@contextmanager
def folder_lock(folder: Path) -> Generator[None]:
    """Lock `folder` for this process; raise StartupError, with the holder's name, when a live process has locked it."""
    path = folder / "lock"
    # The file is not removed: otherwise two processes could each lock a file of this name.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 20, 0).decode("utf-8", "replace").strip() or "unknown"
            raise StartupError(
                f"another `tenantgate dev` is already running in this folder (pid {holder}); "
                "stop it or choose another folder with --folder"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        # The kernel releases the lock here, or when the process ends in any way.
        os.close(descriptor)


def is_locked(folder: Path) -> bool:
    """Whether a live process has locked `folder`."""
    try:
        with (folder / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
