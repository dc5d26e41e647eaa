"""The settings of one identity provider."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StrictBool, StrictInt, StrictStr, model_validator

from server.settings.values import Algorithm, ClaimPath, IssuerScope, Scope, Section, Url, plain_claim_path


class IssuerSettings(Section):
    """One identity provider whose access tokens are accepted, and how its claims are read."""

    issuer: Annotated[Url, Field(max_length=200)]
    jwks_url: Url | Literal[""] = ""
    audiences: tuple[str, ...] = ()
    client_ids: tuple[str, ...] = ()
    algorithms: Annotated[tuple[Algorithm, ...], Field(min_length=1)] = ("RS256",)
    token_type: str | None = None
    token_use: str | None = None
    # Whether tokens bound to their sender's key are accepted (RFC 9449), and whether other tokens are.
    dpop: Literal["off", "accepted", "required"] = "off"
    required_claims: Mapping[str, StrictBool | StrictInt | StrictStr] = {}
    max_lifetime_s: Annotated[int, Field(ge=60)] = 86_400
    tenant_claims: tuple[ClaimPath, ...] = ("tenant_id", "custom:tenant_id")
    tier_claim: Annotated[str, AfterValidator(plain_claim_path)] = "cognito:groups"
    scope_map: Mapping[Scope, Annotated[tuple[IssuerScope, ...], Field(min_length=1)]] = {}
    scopes_granted: tuple[Scope, ...] = ()

    @model_validator(mode="after")
    def _someone_is_meant(self) -> Self:
        if not self.audiences and not self.client_ids:
            raise ValueError("name `audiences` or `client_ids`: otherwise tokens made for other services are accepted")
        return self

    def names_of(self, scope: Scope) -> tuple[str, ...]:
        """Return the names under which this issuer grants `scope`, the preferred one first."""
        return self.scope_map.get(scope, (scope,))
