"""`tenantgate init` writes settings that work as they stand, and asks nothing."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from server.configuration import load_settings
from server.settings import CONFIG_VARIABLE, Settings


def run(folder, *options: str) -> tuple[int, str, str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TENANTGATE_")}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    command = [sys.executable, "-m", "server", "init", *options]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=folder, env=environment, stdin=subprocess.DEVNULL, check=False
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr.strip()


@pytest.fixture
def settings_of(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Settings]:
    """Return a function that reads a settings file as every verb does."""
    for name in [name for name in os.environ if name.startswith("TENANTGATE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv(CONFIG_VARIABLE, "")
    return load_settings


@pytest.fixture
def issuer() -> Iterator[tuple[str, dict[str, object]]]:
    """An identity provider that publishes `document`."""
    document: dict[str, object] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path == "/.well-known/openid-configuration" and document
            body = json.dumps(document).encode()
            self.send_response(200 if found else 404)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", document
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_file_is_valid_and_names_folders_that_exist(tmp_path, settings_of) -> None:
    code, said, _ = run(tmp_path)
    assert code == 0
    assert "tenantgate adopt --config tenantgate.toml" in said
    settings = settings_of(tmp_path / "tenantgate.toml")
    assert settings.catalog == (str(tmp_path / "adopted/tools"),)
    assert settings.migrations == (str(tmp_path / "adopted/migrations"),)
    assert (tmp_path / "adopted/tools").is_dir()
    assert (tmp_path / "adopted/migrations").is_dir()


def test_an_existing_file_is_replaced_only_with_force(tmp_path) -> None:
    file = tmp_path / "tenantgate.toml"
    file.write_text("mine = true\n")
    assert run(tmp_path)[::2] == (
        2,
        "tenantgate: tenantgate.toml exists; add --force to replace it, or name another file with --config",
    )
    assert file.read_text() == "mine = true\n"
    assert run(tmp_path, "--force")[0] == 0
    assert "resource_url" in file.read_text()


def test_the_discovery_document_of_an_issuer_is_filled_in(tmp_path, settings_of, issuer) -> None:
    url, document = issuer
    document |= {
        "issuer": url,
        "jwks_uri": f"{url}/keys",
        "id_token_signing_alg_values_supported": ["HS256", "ES256", "none", "RS256"],
        "scopes_supported": ["openid", "orders:read"],
        "claims_supported": ["sub", "org\nid"],
    }
    assert run(tmp_path, "--issuer", url, "--config", "own.toml")[0] == 0
    (found,) = settings_of(tmp_path / "own.toml").issuers
    assert (found.issuer, found.jwks_url, found.algorithms) == (url, f"{url}/keys", ("ES256", "RS256"))
    text = (tmp_path / "own.toml").read_text()
    assert "# It knows the scopes openid, orders:read." in text
    assert "# It knows the claims sub, org?id." in text


WRONG = {
    "another issuer": (
        {"issuer": "https://other.example", "jwks_uri": "https://other.example/keys"},
        "names the issuer",
    ),
    "no key set": ({"jwks_uri": "http://keys.example"}, "has no jwks_uri with https"),
    "nothing": ({}, "answered with HTTP status 404; correct --issuer"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_an_issuer_that_cannot_be_used_is_one_line_and_writes_nothing(tmp_path, issuer, wrong) -> None:
    url, document = issuer
    published, message = WRONG[wrong]
    document |= {"issuer": url, **published} if published else {}
    code, _, said = run(tmp_path, "--issuer", url)
    assert code == 2
    assert message in said
    assert "\n" not in said
    assert list(tmp_path.iterdir()) == []


def test_an_issuer_that_does_not_answer_or_is_no_url_is_one_line(tmp_path) -> None:
    code, _, said = run(tmp_path, "--issuer", "http://127.0.0.1:1")
    assert (code, "\n" in said) == (1, False)
    assert said.startswith("tenantgate: http://127.0.0.1:1/.well-known/openid-configuration does not answer (")
    assert run(tmp_path, "--issuer", "http://elsewhere.example")[0] == 2
    assert list(tmp_path.iterdir()) == []
