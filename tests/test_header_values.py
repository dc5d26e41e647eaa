"""Header values as HTTP defines them, which no well-behaved client library would send."""

import http.client
import json
from urllib.parse import urlsplit

import pytest
from conftest import ACCEPT, MODERN


@pytest.mark.parametrize("name", ["Mcp-Name", "Mcp-Method", "MCP-Protocol-Version"])
@pytest.mark.parametrize("era", ["2025-11-25", MODERN])
def test_blanks_around_a_header_value_do_not_belong_to_it(stack, name, era) -> None:
    """RFC 9110 section 5.5: a server must accept them."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": era,
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    params = {"name": "whoami", "arguments": {}} | ({"_meta": meta} if era == MODERN else {})
    headers = {"Mcp-Method": "tools/call", "Mcp-Name": "whoami", "MCP-Protocol-Version": era}
    headers |= {"Content-Type": "application/json", "Accept": ACCEPT}
    headers |= {"Authorization": f"Bearer {stack.issuer.mint('mike-broker-a')}"}
    headers[name] = f" \t{headers[name]}  "
    connection = http.client.HTTPConnection(urlsplit(stack.addresses.mcp_url).netloc)
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    connection.request("POST", "/mcp", json.dumps(body), headers)
    answer = connection.getresponse()
    told = json.loads(answer.read())
    connection.close()
    assert answer.status == 200, told
    assert told["result"]["structuredContent"]["tenant"] == "broker-a"
