"""The settings of the documents."""

from typing import Annotated, Final, Literal

from pydantic import Field, field_validator

from server.settings.values import Section

# The pattern that Retrieve publishes for a reranking model.
_FOUNDATION_MODEL: Final = r"^arn:aws(-[^:]+)?:bedrock:[a-z0-9-]{1,20}::foundation-model/.+$"


class DocumentsSettings(Section):
    """The knowledge base of documents."""

    knowledge_base_id: Annotated[str, Field(pattern=r"^[0-9A-Za-z]{10}$")]
    """ten letters or digits"""
    region: str | None = None
    """region of the knowledge base"""
    isolate_by: tuple[Literal["tier", "tenant_id"], ...] = ("tier",)
    """or `["tier", "tenant_id"]`"""
    search_type: Literal["HYBRID", "SEMANTIC"] | None = None
    """see [documents](documents.md). A managed knowledge base chooses its own"""
    reranking_model_arn: Annotated[str, Field(pattern=_FOUNDATION_MODEL)] | None = None
    """a foundation model that ranks the passages again"""
    timeout_ms: Annotated[int, Field(ge=100, le=60_000)] = 5_000
    """for one search, retries and pages included"""
    retry_mode: Literal["standard", "adaptive"] = "standard"
    """as AWS's clients define them"""
    max_attempts: Annotated[int, Field(ge=1, le=10)] = 3
    """attempts of each request"""

    @field_validator("isolate_by")
    @classmethod
    def _begins_with_tier(cls, keys: tuple[str, ...]) -> tuple[str, ...]:
        if keys not in {("tier",), ("tier", "tenant_id")}:
            raise ValueError('must be ["tier"] or ["tier", "tenant_id"]')
        return keys
