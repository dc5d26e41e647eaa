"""Amazon Cognito's pre token generation trigger: put tenant and tiers into access tokens, of people and of clients.

Attach it as version V2_0 (people) or V3_0 (people and client credentials). The person's tenant is the attribute
`custom:tenant_id`, their tiers are their groups. A client is looked up in the variable CLIENTS, which holds JSON:
`{"<app client id>": {"tenant_id": "broker-a", "tiers": ["regular"]}}`.
"""  # noqa: INP001 - the whole of a Lambda function, not a package

import json
import os
from typing import Any


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Return the event with the claims added; who has no tenant gets no claim, and the server refuses them."""
    request = event["request"]
    groups: dict[str, Any] = request.get("groupConfiguration") or {}
    if event["triggerSource"] == "TokenGeneration_ClientCredentials":
        claims = _claims_of_client(event["callerContext"]["clientId"])
    else:
        claims = _claims_of_person(request.get("userAttributes") or {}, groups.get("groupsToOverride") or [])
    event["response"]["claimsAndScopeOverrideDetails"] = {
        "accessTokenGeneration": {"claimsToAddOrOverride": claims},
        # Given back as it came: without it Cognito drops the groups from the token.
        "groupOverrideDetails": groups,
    }
    return event


def _claims_of_person(attributes: dict[str, str], groups: list[str]) -> dict[str, Any]:
    tenant = attributes.get("custom:tenant_id")
    return ({"tenant_id": tenant} if tenant else {}) | {"tiers": groups}


def _claims_of_client(client_id: str) -> dict[str, Any]:
    known = json.loads(os.environ.get("CLIENTS", "{}")).get(client_id, {})
    return {name: known[name] for name in ("tenant_id", "tiers") if name in known}
