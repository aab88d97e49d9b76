"""Names that no parameter may have, because a request has another meaning for them.

Decoding parameters that OpenAI's APIs have too are not among them, such as ``temperature``, ``top_p``,
``seed``, ``max_tokens`` or ``frequency_penalty``: an algorithm may take those, in OpenAI's meaning.
"""

from __future__ import annotations

__all__ = ["RESERVED", "why_reserved"]

_OPENAI = frozenset(
    {
        "audio",
        "best_of",
        "echo",
        "function_call",
        "functions",
        "logit_bias",
        "logprobs",
        "messages",
        "metadata",
        "modalities",
        "model",
        "n",
        "parallel_tool_calls",
        "prediction",
        "prompt",
        "prompt_cache_key",
        "prompt_cache_retention",
        "reasoning_effort",
        "response_format",
        "safety_identifier",
        "service_tier",
        "stop",
        "store",
        "stream",
        "stream_options",
        "suffix",
        "tool_choice",
        "tools",
        "top_logprobs",
        "user",
        "verbosity",
        "web_search_options",
    }
)
"""Fields of a request for chat completions or completions, as OpenAI's reference lists them."""

_OURS = frozenset({"algorithm", "attention_mask", "index", "raw", "self"})
"""Keywords of ``generate``, ``stream`` and ``prepare`` besides, which a parameter could not stand beside."""

RESERVED: frozenset[str] = _OPENAI | _OURS
"""Names and aliases that an ``InvalidSpec`` refuses."""


def why_reserved(name: str) -> str | None:
    """Why no parameter may be called so, ending with the remedy; None where one may."""
    if name in _OPENAI:
        return f"{name} is a field of requests in OpenAI's APIs, with a meaning of its own; take another name"
    if name in _OURS:
        return f"{name} is a keyword of generate itself; take another name"
    return None
