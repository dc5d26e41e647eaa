"""The model that answers: the offline one, or a real one that a single setting names."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from strands.models import Model

from client_demo.errors import AgentError
from client_demo.offline_model import OfflineModel

MODEL_VARIABLE: Final = "TENANTGATE_DEMO_MODEL"
OFFLINE_LABEL: Final = "offline rule-based model (no language model)"
_MAX_TOKENS: Final = 1024


@dataclass(frozen=True, slots=True)
class _Provider:
    """How to make one provider's model; `key` is the environment variable that it needs."""

    make: Callable[[str], Model]
    needs_name: bool = True
    key: str = ""


def choose_model(setting: str | None = None) -> Model:
    """Return the model that `setting`, or else TENANTGATE_DEMO_MODEL, names: `provider` or `provider:name`.

    Only the setting decides: credentials that happen to be in the environment never select a provider.
    Raises AgentError naming what to install or to set.
    """
    setting = os.environ.get(MODEL_VARIABLE, "") if setting is None else setting
    if setting in {"", "offline"}:
        return OfflineModel()
    name, _, model_id = setting.partition(":")
    provider = _PROVIDERS.get(name)
    if provider is None:
        raise AgentError(
            f"{MODEL_VARIABLE}={setting} does not name a provider; use one of: offline, {', '.join(_PROVIDERS)}."
        )
    if provider.needs_name and not model_id:
        raise AgentError(f"{MODEL_VARIABLE}={setting} does not name a model; write {name}:MODEL.")
    if provider.key and not os.environ.get(provider.key):
        raise AgentError(f"{MODEL_VARIABLE}={setting} needs {provider.key}; set it in the environment.")
    try:
        return provider.make(model_id)
    except ImportError as error:
        raise AgentError(
            f"{MODEL_VARIABLE}={setting} needs a package; run pip install 'strands-agents[{name}]'."
        ) from error


def model_label(model: Model) -> str:
    """Return the model's label, so that nobody mistakes the offline rules for a language model."""
    if isinstance(model, OfflineModel):
        return OFFLINE_LABEL
    config: Any = model.get_config()
    return f"{type(model).__name__} {config.get('model_id', '')}".strip()


def _bedrock(model_id: str) -> Model:
    from strands.models.bedrock import BedrockModel

    return BedrockModel(model_id=model_id) if model_id else BedrockModel()


def _anthropic(model_id: str) -> Model:
    from strands.models.anthropic import AnthropicModel

    return AnthropicModel(model_id=model_id, max_tokens=_MAX_TOKENS)


def _openai(model_id: str) -> Model:
    from strands.models.openai import OpenAIModel

    return OpenAIModel(model_id=model_id)


def _ollama(model_id: str) -> Model:
    from strands.models.ollama import OllamaModel

    return OllamaModel(os.environ.get("OLLAMA_HOST"), model_id=model_id)


def _llamacpp(address: str) -> Model:
    from strands.models.llamacpp import LlamaCppModel

    return LlamaCppModel(base_url=address)


_PROVIDERS: Final = {
    "bedrock": _Provider(_bedrock, needs_name=False),
    "anthropic": _Provider(_anthropic, key="ANTHROPIC_API_KEY"),
    "openai": _Provider(_openai, key="OPENAI_API_KEY"),
    "ollama": _Provider(_ollama),
    # A llama.cpp server has one model, so the text after the colon is its address.
    "llamacpp": _Provider(_llamacpp),
}
