"""The image is built from its Dockerfile and started as AgentCore starts it; the base is Debian's, made here.

Slow, and only where buildah and mmdebstrap are installed and may run as root.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest
from conftest import ACCEPT

from server.http.serving import listen

ROOT = Path(__file__).parents[1]
MISSING = [name for name in ("buildah", "mmdebstrap") if shutil.which(name) is None]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"{' and '.join(MISSING)} cannot be found; install Debian's packages"),
    pytest.mark.skipif(os.geteuid() != 0, reason="building in a chroot needs root"),
]
# What pip needs to know on a machine with an index of its own.
MOUNTED = [path for path in ("/etc/ssl/certs", "/etc/pip.conf") if Path(path).exists()]
ARM = ["--platform", "manylinux_2_28_aarch64", "--platform", "manylinux2014_aarch64", "--python-version", "3.13"]


@pytest.fixture(scope="module")
def buildah(tmp_path_factory):
    """A function that runs buildah with a store of its own, and the image `tenantgate` in it."""
    folder = tmp_path_factory.mktemp("image")
    (folder / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    (folder / "storage.conf").write_text(
        f'[storage]\ndriver = "vfs"\ngraphroot = "{folder}/store"\nrunroot = "{folder}/run"\n'
    )
    environment = os.environ | {"CONTAINERS_STORAGE_CONF": str(folder / "storage.conf")}

    def run(*arguments):
        done = subprocess.run(
            ["buildah", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout[-2_000:] + done.stderr[-2_000:]
        return done.stdout

    packages = "--include=python3,python3-venv,ca-certificates"
    subprocess.run(["mmdebstrap", "--variant=minbase", packages, "bookworm", folder / "root"], check=True)
    (folder / "Base").write_text("FROM scratch\nCOPY root/ /\n")
    build = ("bud", "--isolation", "chroot", "--signature-policy", str(folder / "policy.json"))
    run(*build, "--file", str(folder / "Base"), "--tag", "base", str(folder))
    volumes = [f"--volume={path}:{path}:ro" for path in MOUNTED]
    ignored = ("--ignorefile", "deploy/Dockerfile.dockerignore")
    run(
        *build,
        *volumes,
        *ignored,
        "--build-arg=BASE=localhost/base",
        "--file=deploy/Dockerfile",
        "--tag=tenantgate",
        ".",
    )
    yield run, environment
    run("rm", "--all")


def in_image(buildah, *command, variables=()):
    """Return the command line that runs `command` in a container of the image."""
    run, _ = buildah
    container = run("from", "--pull-never", "tenantgate").strip()
    options = [f"--env={name}={value}" for name, value in variables]
    return ["buildah", "run", "--isolation", "chroot", *options, container, "--", *command]


def said(buildah, *command):
    done = subprocess.run(
        in_image(buildah, *command), env=buildah[1], capture_output=True, text=True, timeout=120, check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_the_image_has_no_installer_and_no_rights(buildah):
    assert said(buildah, "/opt/tenantgate/bin/python", "-c", "import os; print(os.getuid())") == (0, "65532\n")
    code, text = said(buildah, "/opt/tenantgate/bin/python", "-m", "pip", "--version")
    assert code != 0
    assert "No module named pip" in text
    assert said(buildah, "sh", "-c", "command -v gcc cc make")[0] != 0
    assert said(buildah, "sh", "-c", "touch /opt/tenantgate/x /etc/tenantgate/x")[0] != 0


def test_the_image_says_what_it_is_made_of(buildah):
    code, text = said(buildah, "cat", "/usr/share/tenantgate/materials/python.cdx.json")
    assert code == 0
    components = {one["name"] for one in json.loads(text)["components"]}
    assert {"tenantgate", "mcp", "psycopg", "boto3"} <= components
    assert "libc6 " in said(buildah, "cat", "/usr/share/tenantgate/materials/debian.txt")[1]


def test_without_settings_the_image_says_what_is_missing(buildah):
    code, text = said(buildah, "tenantgate", "serve")
    assert code == 2
    assert "resource_url: is missing" in text
    assert "Traceback" not in text


def test_the_image_serves_as_agentcore_starts_it(buildah, stack, caller):
    """`0.0.0.0:8000/mcp` (another port here), session headers of the platform, `/ping`."""
    with contextlib.closing(listen("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = stack.settings
    (issuer,) = settings.issuers
    known = issuer.model_dump(mode="json", exclude_defaults=True)
    variables = {
        "RESOURCE_URL": settings.resource_url,
        "ALLOWED_HOSTS": json.dumps([f"127.0.0.1:{port}"]),
        "HOST": "0.0.0.0",
        "PORT": str(port),
        "CATALOG": '["sample"]',
        "ISSUERS": json.dumps([known]),
        "TENANCY__TIERS": json.dumps(settings.tenancy.tiers),
        "DATABASE__URL": settings.database.url.get_secret_value(),
        "DATABASE__CONTEXT_KEYS": json.dumps([one.get_secret_value() for one in settings.database.context_keys]),
    }
    command = in_image(
        buildah, "tenantgate", "serve", variables=[(f"TENANTGATE_{name}", value) for name, value in variables.items()]
    )
    headers = {
        "authorization": f"Bearer {caller('mike-broker-a').token}",
        "accept": ACCEPT,
        "mcp-session-id": "a-session-of-the-platform-with-its-own-idea-of-it",
        "x-amzn-bedrock-agentcore-runtime-session-id": "s" * 40,
    }
    call = {"name": "query_claims", "arguments": {}}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
    with subprocess.Popen(
        command, env=buildah[1], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as server:
        try:
            base = f"http://127.0.0.1:{port}"
            until = time.monotonic() + 120
            while not answers(f"{base}/ping"):
                assert server.poll() is None, server.stdout and server.stdout.read()
                assert time.monotonic() < until
                time.sleep(0.2)
            answer = httpx2.post(f"{base}/mcp", json=body, headers=headers, timeout=60).json()
        finally:
            # buildah passes no signal on: the server itself is asked, by its own id.
            for process in processes_below(server.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, 15)
            server.wait(60)
    numbers = [one["claim_number"] for one in answer["result"]["structuredContent"]["claims"]]
    assert sorted(numbers) == ["CLM-A-001", "CLM-A-002", "CLM-A-003"]


def answers(url):
    try:
        return httpx2.get(url, timeout=5).status_code == 200
    except httpx2.TransportError:
        return False


def processes_below(parent):
    """Return the ids of the processes that this one started, and those that they started, deepest first."""
    children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(parent)], capture_output=True, text=True, check=False)
    return [one for child in map(int, children.stdout.split()) for one in [*processes_below(child), child]]


@pytest.mark.parametrize("lock", ["server", "agent"])
def test_every_locked_dependency_has_a_wheel_for_arm64(lock, tmp_path):
    """The index is asked, nothing is installed."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--no-deps"]
    command += ["--require-hashes", "--only-binary=:all:", *ARM, "--target", str(tmp_path), "-r"]
    done = subprocess.run(
        [*command, str(ROOT / "deploy" / "image" / f"{lock}.lock")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
