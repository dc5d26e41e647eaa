"""The first proof of isolation is made by a process of its own; whatever becomes of it, the start ends in order."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

SETTINGS = """
resource_url = "http://127.0.0.1:1/mcp"
[[issuers]]
issuer = "http://127.0.0.1:1"
audiences = ["x"]
[database]
url = "postgresql://app_user@127.0.0.1:{port}/claims"
context_keys = ["k1:{key}"]
"""


@contextmanager
def proving(folder: Path) -> Generator[tuple[subprocess.Popen[str], int]]:
    """Start `tenantgate serve` on a database that never answers; yield it and the process that proves isolation."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        config = folder / "tenantgate.toml"
        config.write_text(SETTINGS.format(port=silent.getsockname()[1], key="A" * 43 + "="))
        config.chmod(0o600)
        command = [sys.executable, "-m", "server", "serve", "--config", str(config)]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            silent.settimeout(60)
            with silent.accept()[0]:
                (beside,) = Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()
                yield child, int(beside)
        finally:
            child.kill()
            child.wait()


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the process in /proc")
def test_a_killed_proof_ends_the_start_with_one_line(tmp_path) -> None:
    with proving(tmp_path) as (serve, beside):
        os.kill(beside, signal.SIGKILL)
        _, errors = serve.communicate(timeout=60)
    assert (serve.returncode, errors.count("\n")) == (1, 1)
    assert "the process that proves isolation ended without a result" in errors


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the process in /proc")
def test_ctrl_c_during_the_proof_leaves_no_process(tmp_path) -> None:
    with proving(tmp_path) as (serve, beside):
        serve.send_signal(signal.SIGINT)
        _, errors = serve.communicate(timeout=60)
        for _ in range(100):
            if not Path(f"/proc/{beside}").exists():
                break
            time.sleep(0.05)
        assert not Path(f"/proc/{beside}").exists()
    assert serve.returncode != 0
    assert "Traceback" not in errors
