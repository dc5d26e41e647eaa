"""deploy/Dockerfile, built and started: as the account that it names, and called as AgentCore Runtime calls."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from gate_support import free_port

ROOT = Path(__file__).parents[1]
TOOLS = ("buildah", "mmdebstrap")
# What pip needs to know of the machine that builds, where that is not the defaults.
OF_THIS_MACHINE = [Path("/etc/ssl/certs"), Path("/etc/pip.conf")]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not all(map(shutil.which, TOOLS)) or os.geteuid() != 0, reason="needs root and Debian's buildah and mmdebstrap"
    ),
]


class Buildah:
    """Builds and runs images in a folder of its own, without a daemon."""

    def __init__(self, folder: Path) -> None:
        (folder / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        self.folder = folder
        self.environment = os.environ | {"STORAGE_DRIVER": "vfs", "BUILDAH_ISOLATION": "chroot"}
        self.command = ["buildah", "--root", str(folder / "store"), "--runroot", str(folder / "run")]

    def __call__(self, verb: str, *arguments: str) -> str:
        signed = ["--signature-policy", str(self.folder / "policy.json")] if verb in {"build", "commit", "from"} else []
        command = [*self.command, verb, *signed, *arguments]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(scope="module")
def buildah(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Buildah]:
    """With the image built, on a base of Debian's packages: base images cannot be pulled everywhere."""
    folder = tmp_path_factory.mktemp("images")
    base = folder / "base.tar"
    wanted = "python3,python3-venv,python3-pip,ca-certificates"
    subprocess.run(
        ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={wanted}", "bookworm", str(base)], check=True
    )
    buildah = Buildah(folder)
    empty = buildah("from", "scratch")
    buildah("add", "--quiet", empty, str(base), "/")
    buildah("commit", "--quiet", empty, "localhost/base")
    buildah("rm", empty)
    mounts = [f"--volume={path}:{path}:ro" for path in OF_THIS_MACHINE if path.exists()]
    dockerfile = str(ROOT / "deploy" / "Dockerfile")
    # The format of Docker: that of OCI has no HEALTHCHECK.
    ignored = f"--ignorefile={dockerfile}.dockerignore"
    options = ["--format=docker", "--build-arg=BASE=localhost/base", ignored, *mounts, f"--file={dockerfile}"]
    buildah("build", "--target=server", *options, "--tag=localhost/tenantgate", str(ROOT))
    yield buildah
    shutil.rmtree(folder)


@pytest.fixture
def container(buildah: Buildah) -> Iterator[str]:
    container = buildah("from", "localhost/tenantgate")
    yield container
    buildah("rm", container)


def test_the_image_runs_as_nobody_and_holds_neither_pip_nor_a_secret(buildah: Buildah, container: str) -> None:
    described = json.loads(buildah("inspect", container))["Docker"]["config"]
    assert described["User"] == "65532:65532"
    assert described["Entrypoint"] == ["tenantgate"]
    assert described["Healthcheck"]
    with pytest.raises(subprocess.CalledProcessError):
        buildah("run", container, "--", "/opt/tenantgate/bin/python", "-m", "pip", "--version")
    with pytest.raises(subprocess.CalledProcessError):
        buildah("run", container, "--", "touch", "/opt/tenantgate/changed")
    listed = json.loads(buildah("run", container, "--", "cat", "/usr/share/tenantgate/materials/python.cdx.json"))
    assert {"tenantgate", "mcp", "psycopg"} <= {component["name"] for component in listed["components"]}


def test_the_image_answers_as_agentcore_calls_it(buildah: Buildah, container: str, stack) -> None:
    """On 0.0.0.0:8000/mcp there, with headers of the platform's own sessions, and a Host that says nothing."""
    port = free_port()
    settings = stack.settings
    host = f"127.0.0.1:{port}"
    issuer = settings.issuers[0].model_dump(mode="json", exclude_defaults=True)
    variables = {
        "TENANTGATE_CONFIG": "",
        "TENANTGATE_PORT": str(port),
        "TENANTGATE_RESOURCE_URL": settings.resource_url,
        "TENANTGATE_ALLOWED_HOSTS": json.dumps([host]),
        "TENANTGATE_CATALOG": '["sample"]',
        "TENANTGATE_ISSUERS": json.dumps([issuer]),
        "TENANTGATE_TENANCY__TIERS": json.dumps(settings.tenancy.tiers),
        "TENANTGATE_DATABASE__URL": settings.database.url.get_secret_value(),
        "TENANTGATE_DATABASE__CONTEXT_KEYS": json.dumps(
            [key.get_secret_value() for key in settings.database.context_keys]
        ),
    }
    options = [f"--env={name}={value}" for name, value in variables.items()]
    command = [*buildah.command, "run", *options, container, "--", "tenantgate", "serve"]
    running = subprocess.Popen(command, env=buildah.environment, start_new_session=True)
    try:
        _until_it_answers(f"http://{host}/readyz", running)
        assert httpx2.get(f"http://{host}/ping").status_code == 200
        answer = httpx2.post(
            f"http://{host}/mcp",
            json={
                "jsonrpc": "2.0",
                "id": 1,
                "method": "tools/call",
                "params": {"name": "query_claims", "arguments": {}},
            },
            headers={
                "accept": "application/json, text/event-stream",
                "authorization": f"Bearer {stack.issuer.mint('mike-broker-a')}",
                "mcp-protocol-version": "2025-11-25",
                "mcp-session-id": "0123456789abcdef0123456789abcdef0",
                "x-amzn-bedrock-agentcore-runtime-session-id": "0123456789abcdef0123456789abcdef0",
            },
        )
        found = answer.json()["result"]["structuredContent"]["claims"]
        assert {claim["claim_number"][:5] for claim in found} == {"CLM-A"}
    finally:
        os.killpg(running.pid, signal.SIGTERM)
        running.wait(30)


def _until_it_answers(url: str, running: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert running.poll() is None, "the container ended"
        try:
            if httpx2.get(url).status_code == 200:
                return
        except httpx2.HTTPError:
            pass
        time.sleep(0.2)
    raise AssertionError("the container did not become ready")
