"""Tokens instead of passwords, for RDS and Aurora databases with AWS IAM authentication."""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final, cast

from server.errors import SettingsError, UnreachableError

# cluster.id.region.rds.amazonaws.com; also matches proxies, other partitions, and IPv6 endpoints.
_HOST: Final = re.compile(
    r"\.([a-z]{2}(?:-[a-z]+)+-[0-9])\.rds\.(?:amazonaws\.com(?:\.cn)?|api\.aws|amazonaws\.eu)\.?$", re.IGNORECASE
)
_PORT: Final = "5432"


def token_for(parameters: Mapping[str, Any], region: str | None) -> str:
    """Return a token for a new connection with these parameters; it is valid for 15 minutes, only for connecting.

    It uses AWS's usual credentials. Fetching them may take time, so call this in a thread. Raises SettingsError for
    parameters that do not allow such a login, and UnreachableError when AWS gives no credentials.
    """
    host, port, user = _login(parameters)
    found = _HOST.search(host)
    place = region or (found[1].lower() if found else None)
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return str(_client(place).generate_db_auth_token(DBHostname=host, Port=int(port), DBUsername=user))
    except (BotoCoreError, ClientError) as error:
        raise UnreachableError(
            f"AWS gives no token for database.iam ({error}); check the region (database.region) and the credentials "
            "that AWS's variables, profile or role give to this process"
        ) from error


def _login(parameters: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return the host, port and user that the token is signed for."""
    host, user = str(parameters.get("host") or ""), str(parameters.get("user") or "")
    port = str(parameters.get("port") or _PORT)
    if parameters.get("sslmode") != "verify-full":
        # An attacker in between would get a token that works like a password for 15 minutes.
        raise SettingsError(
            "database.iam needs sslmode=verify-full in database.url, and sslrootcert with the bundle of RDS; "
            "see docs/database.md"
        )
    if not host or not user or "," in host + port:
        raise SettingsError(
            "database.iam needs a user and exactly one host in database.url: a token is valid for one host; name the "
            "cluster's endpoint, which follows a failover"
        )
    return host, port, user


@cache
def _client(region: str | None) -> Any:
    """Return one client per region: making it takes milliseconds, and it keeps and renews the credentials."""
    import boto3

    # A new session, because the default session is not thread-safe.
    return cast("Any", boto3.Session()).client("rds", region_name=region)
