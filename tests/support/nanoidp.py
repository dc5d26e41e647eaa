"""NanoIDP, an identity provider that others wrote, as a process of its own on loopback."""

import json
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from server.http.serving import listen


def free_address() -> str:
    """Return an address that nobody listens on; NanoIDP binds it itself."""
    with listen("127.0.0.1", 0) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def nanoidp_running(folder: Path, url: str, settings: Mapping[str, Any], users: Mapping[str, Any]) -> Generator[None]:
    """Run NanoIDP as the issuer `url` until the end; its settings, users, keys and log lie in `folder`."""
    host, _, port = url.removeprefix("http://").partition(":")
    own = {"config_version": 1, "server": {"host": host, "port": int(port)}}
    # JSON is YAML.
    (folder / "settings.yaml").write_text(json.dumps({**own, **settings}))
    (folder / "users.yaml").write_text(json.dumps({"config_version": 1, "users": users}))
    command = [sys.executable, "-m", "nanoidp", "--config", str(folder), "--strict-config"]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, cwd=folder, stdout=log, stderr=log) as process:
        try:
            _wait_for(f"{url}/.well-known/openid-configuration", process, folder / "log")
            yield
        finally:
            process.terminate()


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(400):
        assert process.poll() is None, log.read_text()
        try:
            if httpx2.get(url, trust_env=False).status_code == 200:
                return
        except httpx2.TransportError:
            time.sleep(0.05)
    raise AssertionError(f"{url} does not answer")
