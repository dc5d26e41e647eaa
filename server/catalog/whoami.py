"""The tool whoami: the caller's identity from the verified token and the registry."""

from datetime import UTC, datetime
from typing import Final, Literal

from pydantic import Field

from server.catalog.tool import Arguments, CodeTool, Result, TenantAccess


class WhoamiArguments(Arguments):
    """No arguments."""


class Identity(Result):
    """The caller; everything here was verified, nothing was asked of the caller."""

    subject: str = Field(description="The person's (or client's) id at the identity provider.")
    kind: Literal["person", "client"] = Field(description="`client` when a machine acts for itself.")
    tenant: str | None = Field(description="The tenant that every answer is limited to; null when there is none.")
    tier: str | None = Field(description="The tier whose documents are visible; null when there is none.")
    scopes: list[str] = Field(description="What the token allows.")
    issuer: str = Field(description="The identity provider.")
    expires_at: str = Field(description="When the token expires, ISO 8601, UTC.")


async def whoami(_arguments: WhoamiArguments, access: TenantAccess) -> Identity:
    """Return the caller's identity; reads no table but the registry."""
    token = access.context.token
    return Identity(
        subject=token.subject,
        kind="client" if token.is_client else "person",
        tenant=access.context.tenant,
        tier=access.context.tier,
        scopes=sorted(token.scopes),
        issuer=token.issuer,
        expires_at=datetime.fromtimestamp(token.expires_at, UTC).isoformat(),
    )


WHOAMI: Final = CodeTool(
    name="whoami",
    title="Who am I",
    description=(
        "Tells who is asking: the signed-in person, their tenant, their tier, what their token allows and until when. "
        "Use it when the person asks what they may see or why something is refused. It takes no arguments; "
        "the tenant comes from the sign-in and cannot be changed here or in any other tool."
    ),
    arguments=WhoamiArguments,
    result=Identity,
    scope=None,
    call=whoami,
    needs_tenant=False,
)
