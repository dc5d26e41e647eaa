"""A child process that is always reaped and, on Linux, ends with this process."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import IO, Final

from server.dev.postgres.account import ENVIRONMENT, Account

# How PostgreSQL is stopped, and how many seconds each way may take: fast, immediate, and killed.
LADDER: Final = ((signal.SIGINT, 10.0), (signal.SIGQUIT, 3.0), (signal.SIGKILL, 3.0))

_PR_SET_PDEATHSIG: Final = 1
_library: ctypes.CDLL | None = ctypes.CDLL(None) if sys.platform == "linux" else None


class Child:
    """A running program; its output goes to `log`, because an unread pipe would block it."""

    def __init__(self, command: list[str], account: Account, folder: Path, log: IO[bytes]) -> None:
        """Start `command` as `account` in `folder`; OSError if that is impossible."""
        started: Future[subprocess.Popen[bytes]] = Future()

        # PDEATHSIG fires when the *thread* that forked ends. So a separate thread forks and stays to reap: the caller
        # may be a worker thread that ends long before the child does.
        def supervise() -> None:
            try:
                process = _spawn(command, account, folder, log)
            except BaseException as error:  # noqa: BLE001  # raised again in the caller's thread
                started.set_exception(error)
                return
            started.set_result(process)
            process.wait()

        self._thread = threading.Thread(target=supervise, name=f"reaper of {Path(command[0]).name}", daemon=True)
        self._thread.start()
        self._process = started.result()
        self.pid = self._process.pid

    @property
    def running(self) -> bool:
        """Whether it still runs."""
        return self._thread.is_alive()

    def wait(self, timeout_s: float) -> int | None:
        """Return its exit code, or None when it still runs after `timeout_s` seconds."""
        self._thread.join(timeout_s)
        return None if self.running else self._process.returncode

    def stop(self) -> None:
        """Make it end, with gentle signals first, and return when it is reaped."""
        for number, patience_s in LADDER:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)
            if self.wait(patience_s) is not None:
                return


def _spawn(command: list[str], account: Account, folder: Path, log: IO[bytes]) -> subprocess.Popen[bytes]:
    """Fork and execute."""
    parent = os.getpid()

    # Runs between fork and exec, after the change of user, which would clear the setting.
    def end_with_parent() -> None:
        if _library is not None:
            _library.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGINT))
            if os.getppid() != parent:  # it died before the setting was made
                os._exit(1)

    return subprocess.Popen(  # noqa: S603  # fixed commands of this package
        command,
        user=account.user,
        group=account.group,
        extra_groups=account.extra_groups,
        env=ENVIRONMENT,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        # Outside the terminal's process group: Ctrl-C goes to this process, which stops PostgreSQL after its clients.
        start_new_session=True,
        preexec_fn=end_with_parent,  # noqa: PLW1509  # one system call; it takes no lock that another thread may hold
    )
