"""Both images are built from their Dockerfile and started as AgentCore starts them; the base is Debian's, made here.

Slow, and only where buildah and mmdebstrap are installed and may run as root.
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
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
TARGETS = ("server", "agent")
# An address of this machine that a process on 127.0.0.1 alone does not answer.
ELSEWHERE = "127.0.0.2"
ARM = ["--platform", "manylinux_2_28_aarch64", "--platform", "manylinux2014_aarch64", "--python-version", "3.13"]


@pytest.fixture(scope="module")
def buildah(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Callable[..., str], dict[str, str]]]:
    """A function that runs buildah with a store of its own, and the images `server` and `agent` in it."""
    folder = tmp_path_factory.mktemp("image")
    (folder / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    environment = os.environ | {"CONTAINERS_STORAGE_CONF": str(folder / "storage.conf")}

    def tried(*arguments):
        return subprocess.run(
            ["buildah", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )

    def run(*arguments):
        done = tried(*arguments)
        assert done.returncode == 0, done.stdout[-2_000:] + done.stderr[-2_000:]
        return done.stdout

    # Copies of whole layers work everywhere; overlays are several times as fast.
    for driver in ("overlay", "vfs"):
        store = f'[storage]\ndriver = "{driver}"\ngraphroot = "{folder}/{driver}"\nrunroot = "{folder}/run"\n'
        (folder / "storage.conf").write_text(store)
        if tried("info").returncode == 0:
            break
    packages = "--include=python3,python3-venv,ca-certificates"
    subprocess.run(["mmdebstrap", "--variant=minbase", packages, "bookworm", folder / "root"], check=True)
    (folder / "Base").write_text("FROM scratch\nCOPY root/ /\n")
    build = ("bud", "--isolation", "chroot", "--signature-policy", str(folder / "policy.json"))
    run(*build, "--file", str(folder / "Base"), "--tag", "base", str(folder))
    volumes = [f"--volume={path}:{path}:ro" for path in MOUNTED]
    ignored = ("--ignorefile", "deploy/Dockerfile.dockerignore")
    ours = (*build, "--layers", *volumes, *ignored, "--build-arg=BASE=localhost/base", "--file=deploy/Dockerfile")
    for target in TARGETS:
        run(*ours, f"--target={target}", f"--tag={target}", ".")
    yield run, environment
    run("rm", "--all")
    # Two gigabytes.
    shutil.rmtree(folder, ignore_errors=True)


def in_image(buildah, *command, variables=(), image="server"):
    """Return the command line that runs `command` in a container of the image."""
    run, _ = buildah
    container = run("from", "--pull-never", image).strip()
    options = [f"--env={name}={value}" for name, value in variables]
    return ["buildah", "run", "--isolation", "chroot", *options, container, "--", *command]


def said(buildah, *command, image="server"):
    line = in_image(buildah, *command, image=image)
    done = subprocess.run(line, env=buildah[1], capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("image", TARGETS)
def test_an_image_has_no_installer_and_no_rights(buildah, image):
    python = "/opt/tenantgate/bin/python"
    assert said(buildah, python, "-c", "import os; print(os.getuid())", image=image) == (0, "65532\n")
    code, text = said(buildah, python, "-m", "pip", "--version", image=image)
    assert code != 0
    assert "No module named pip" in text
    assert said(buildah, "sh", "-c", "command -v gcc cc make", image=image)[0] != 0
    assert said(buildah, "sh", "-c", "touch /opt/tenantgate/x /etc/tenantgate/x", image=image)[0] != 0


@pytest.mark.parametrize("image", TARGETS)
def test_an_image_says_what_it_is_made_of(buildah, image):
    code, text = said(buildah, "cat", "/usr/share/tenantgate/materials/python.cdx.json", image=image)
    assert code == 0
    components = {one["name"] for one in json.loads(text)["components"]}
    assert {"tenantgate", "mcp", "psycopg", "boto3"} <= components
    assert ("strands-agents" in components) == (image == "agent")
    assert "libc6 " in said(buildah, "cat", "/usr/share/tenantgate/materials/debian.txt", image=image)[1]


def test_without_settings_the_image_says_what_is_missing(buildah):
    code, text = said(buildah, "tenantgate", "serve")
    assert code == 2
    assert "resource_url: is missing" in text
    assert "Traceback" not in text


def test_the_servers_image_serves_as_agentcore_starts_it(buildah, stack, caller):
    """`0.0.0.0:8000/mcp` (another port here), session headers of the platform, `/ping`."""
    port = free_port()
    settings = stack.settings
    (issuer,) = settings.issuers
    known = issuer.model_dump(mode="json", exclude_defaults=True)
    variables = {
        "RESOURCE_URL": settings.resource_url,
        "ALLOWED_HOSTS": json.dumps([f"{ELSEWHERE}:{port}"]),
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
    with running(buildah, command, port) as base:
        answer = httpx2.post(f"{base}/mcp", json=body, headers=headers, timeout=60).json()
    numbers = [one["claim_number"] for one in answer["result"]["structuredContent"]["claims"]]
    assert sorted(numbers) == ["CLM-A-001", "CLM-A-002", "CLM-A-003"]


def test_the_agents_image_answers_as_agentcore_starts_it(buildah, stack, caller):
    """`0.0.0.0:8080` (another port here), `/ping`, `/invocations` with the person's token; without one, a status."""
    port = free_port()
    image = json.loads(buildah[0]("inspect", "--type=image", "agent"))["OCIv1"]
    command = in_image(
        buildah,
        *image["config"]["Entrypoint"],
        f"--port={port}",
        image="agent",
        variables=[("TENANTGATE_MCP_URL", stack.addresses.mcp_url), ("TENANTGATE_DEMO_MODEL", "offline")],
    )
    session = {"x-amzn-bedrock-agentcore-runtime-session-id": "s" * 40, "accept": "text/event-stream"}
    known = session | {"authorization": f"Bearer {caller('mike-broker-a').token}"}
    with running(buildah, command, port) as base:
        assert httpx2.get(f"{base}/ping", timeout=60).json()["status"] == "Healthy"
        asked = {"prompt": "Show me all claims"}
        answer = httpx2.post(f"{base}/invocations", json=asked, headers=known, timeout=60)
        nobody = httpx2.post(f"{base}/invocations", json=asked, headers=session, timeout=60)
    assert answer.status_code == 200, answer.text
    assert set(re.findall(r"CLM-[AB]-\d{3}", answer.text)) == {"CLM-A-001", "CLM-A-002", "CLM-A-003"}
    assert nobody.status_code == 401


def free_port():
    with contextlib.closing(listen("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


@contextlib.contextmanager
def running(buildah, command, port):
    """Start a container and yield its address: one that answers only where it listens on all addresses."""
    base = f"http://{ELSEWHERE}:{port}"
    with subprocess.Popen(
        command, env=buildah[1], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as started:
        try:
            until = time.monotonic() + 120
            while not answers(f"{base}/ping"):
                assert started.poll() is None, started.stdout and started.stdout.read()
                assert time.monotonic() < until
                time.sleep(0.2)
            yield base
        finally:
            # buildah passes no signal on: the process itself is asked, by its own id.
            for process in processes_below(started.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, 15)
            started.wait(60)


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
