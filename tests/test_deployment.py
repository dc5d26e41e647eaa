"""deploy/: every setting that it names is one, and what it promises about secrets and rights stands there."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from server.settings import PREFIX, IssuerSettings, Settings

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
TEXTS = [DEPLOY / "Dockerfile", *sorted(DEPLOY.glob("*/*.yaml"))]
# Variables that are no settings: where those are, and those of the agent.
OTHERS = {"TENANTGATE_CONFIG", "TENANTGATE_SECRETS_MANAGER", "TENANTGATE_MCP_URL", "TENANTGATE_DEMO_MODEL"}


class Template(yaml.SafeLoader):
    """Reads CloudFormation's short forms as what they stand for, as far as a test needs it."""


def _short_form(loader: Template, _suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    assert isinstance(node, yaml.MappingNode)
    return loader.construct_mapping(node, deep=True)


Template.add_multi_constructor("!", _short_form)


def templates() -> dict[str, Any]:
    read = {
        file.stem: yaml.load(file.read_text(), Template) for file in (DEPLOY / "cloudformation").glob("*.yaml")
    }  # a SafeLoader
    assert len(read) == 6
    return read


def kubernetes() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((DEPLOY / "kubernetes" / "tenantgate.yaml").read_text()))


def names_a_setting(variable: str) -> bool:
    model: Any = Settings
    for part in variable.removeprefix(PREFIX).lower().split("__"):
        field = getattr(model, "model_fields", {}).get(part)
        if field is None:
            return False
        # `DocumentsSettings | None` is a section too.
        kinds = [field.annotation, *getattr(field.annotation, "__args__", ())]
        model = next((kind for kind in kinds if hasattr(kind, "model_fields")), None)
    return True


@pytest.mark.parametrize("file", TEXTS, ids=lambda file: file.name)
def test_every_variable_is_a_setting(file: Path) -> None:
    named = set(re.findall(r"\bTENANTGATE_[A-Z_]+\b", file.read_text())) - OTHERS
    assert [name for name in named if not names_a_setting(name)] == []


def test_a_misspelt_variable_would_be_found() -> None:
    assert names_a_setting("TENANTGATE_DOCUMENTS__KNOWLEDGE_BASE_ID")
    assert not names_a_setting("TENANTGATE_DOCUMENTS__KNOWLEDGEBASE_ID")
    assert not names_a_setting("TENANTGATE_RESOURCE")


def test_the_issuer_of_the_runtime_is_read_as_the_settings_read_it() -> None:
    environment = templates()["runtime"]["Resources"]["Server"]["Properties"]["EnvironmentVariables"]
    text = environment["TENANTGATE_ISSUERS"][0]
    filled = text.replace("${Issuer}", "https://id.example.com").replace("${Client}", "1example")
    (issuer,) = [IssuerSettings.model_validate(one) for one in json.loads(filled)]
    scopes = {
        scope for tool in (ROOT / "tools").glob("*.toml") for scope in re.findall(r'scope = "(.+)"', tool.read_text())
    }
    assert set(issuer.scope_map) == scopes
    granted = templates()["identity"]["Resources"]["Tools"]["Properties"]["Scopes"]
    assert {f"tenantgate/{scope['ScopeName']}" for scope in granted} == {
        names[0] for names in issuer.scope_map.values()
    }


def test_the_settings_file_of_kubernetes_is_accepted(tmp_path, monkeypatch) -> None:
    (text,) = [one["data"]["tenantgate.toml"] for one in kubernetes() if one["kind"] == "ConfigMap"]
    (tmp_path / "tenantgate.toml").write_text(text)
    monkeypatch.setenv("TENANTGATE_CONFIG", str(tmp_path / "tenantgate.toml"))
    assert Settings().resource_url == "https://mcp.example.com/mcp"


def test_the_secrets_of_the_server_are_settings() -> None:
    text = templates()["database"]["Resources"]["ServerSecrets"]["Properties"]["SecretString"]
    assert all(names_a_setting(PREFIX + name) for name in json.loads(re.sub(r"\$\{.*?\}+", "x", text), strict=False))


def test_authorization_reaches_both_containers() -> None:
    """Without it the token stays at the platform, and every call is a 401."""
    resources = templates()["runtime"]["Resources"]
    for name in ("Server", "Agent"):
        properties = resources[name]["Properties"]
        assert properties["RequestHeaderConfiguration"]["RequestHeaderAllowlist"] == ["Authorization"]
        assert "CustomJWTAuthorizer" in properties["AuthorizerConfiguration"]
    target = resources["GatewayTarget"]["Properties"]
    assert target["CredentialProviderConfigurations"] == [{"CredentialProviderType": "JWT_PASSTHROUGH"}]


def test_no_role_may_do_everything_or_something_to_everything() -> None:
    """`*` is the resource of what has none, and of a key's own policy."""
    for template in templates().values():
        for resource in template["Resources"].values():
            if resource["Type"] != "AWS::IAM::Role":
                continue
            for policy in resource["Properties"]["Policies"]:
                for statement in policy["PolicyDocument"]["Statement"]:
                    actions = statement["Action"]
                    actions = [actions] if isinstance(actions, str) else actions
                    assert not any("*" in action for action in actions)
                    assert statement["Resource"] != "*" or actions == ["ecr:GetAuthorizationToken"]


def test_no_container_of_kubernetes_has_rights_that_it_does_not_need() -> None:
    for one in kubernetes():
        found: list[Any] = [one]
        while found:
            part = found.pop()
            if isinstance(part, dict):
                found += part.values()
                for container in part.get("containers", ()):
                    assert container["securityContext"] == {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    }
            elif isinstance(part, list):
                found += part
