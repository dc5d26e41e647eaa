"""docs/agentcore.md: the requests in it are valid for the AWS SDK's own model of the service, and say what matters."""

import json
import re
from pathlib import Path

import boto3
import pytest

from client_demo.agentcore_client import arn_address

TEXT = (Path(__file__).parents[1] / "docs" / "agentcore.md").read_text(encoding="utf-8")
REQUESTS = [json.loads(block) for block in re.findall(r"```json\n(.+?)```", TEXT, re.DOTALL)]


@pytest.mark.parametrize("request_body", REQUESTS, ids=lambda request: request["agentRuntimeName"])
def test_a_runtime_of_the_page_is_one_that_the_service_takes(request_body):
    from botocore.validate import ParamValidator

    client = boto3.client(
        "bedrock-agentcore-control", region_name="eu-west-1", aws_access_key_id="none", aws_secret_access_key="none"
    )
    operation = client.meta.service_model.operation_model("CreateAgentRuntime")
    report = ParamValidator().validate({"clientToken": "c" * 33, **request_body}, operation.input_shape)
    assert not report.has_errors(), report.generate_report()
    assert request_body["requestHeaderConfiguration"] == {"requestHeaderAllowlist": ["Authorization"]}
    assert "customJWTAuthorizer" in request_body["authorizerConfiguration"]


def test_both_runtimes_are_on_the_page():
    assert [request["protocolConfiguration"]["serverProtocol"] for request in REQUESTS] == ["MCP", "HTTP"]


def test_the_address_on_the_page_is_the_one_that_the_client_computes(monkeypatch):
    monkeypatch.delenv("AWS_ENDPOINT_URL_BEDROCK_AGENTCORE", raising=False)
    arn = "arn:aws:bedrock-agentcore:eu-west-1:123456789012:runtime/tenantgate-Ab1Cd2Ef3G"
    assert arn_address(arn, "DEFAULT") in TEXT.splitlines()
