"""openai: chat completions, responses, embeddings and everything else of its client's request funnel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agentrace.integrations.declaration import Facts, Integration, Shape, ToolCall, ToolResult, Usage
from agentrace.integrations.reading import count, mappings, parsed
from agentrace.integrations.stainless import StainlessReader


def facts(request: Any, responses: Sequence[Any]) -> Facts:
    """What a call meant, from the request's JSON and the response's JSON or stream events.

    Shapes: the OpenAI API reference, objects ``chat.completion``, ``chat.completion.chunk``, ``response``, ``list`` of
    embeddings, and the usage objects of each.
    """
    request = request if isinstance(request, Mapping) else {}
    parts = [part for part in responses if isinstance(part, Mapping)]
    whole = next((part["response"] for part in reversed(parts) if isinstance(part.get("response"), Mapping)), None)
    if whole is not None:
        parts = [whole]
    last = parts[-1] if parts else {}
    if last.get("object") == "response" or isinstance(last.get("output"), list):
        return _of_response(request, last)
    return _of_chat(request, parts)


def offered(request: Any) -> Sequence[str]:
    """The functions and custom tools of a request. Other tools, such as ``web_search``, run at the provider.

    Shapes: ``tools`` of chat completions (the name stands below the type) and of responses (it stands beside it), and
    the older ``functions``.
    """
    request = request if isinstance(request, Mapping) else {}
    names = [function.get("name") for function in mappings(request.get("functions"))]
    for tool in mappings(request.get("tools")):
        kind = tool.get("type")
        if kind == "function" or kind == "custom":
            told = tool.get(kind, tool)
            names.append(told.get("name") if isinstance(told, dict) else None)
    return [name for name in names if isinstance(name, str)]


def _of_chat(request: Mapping[str, Any], parts: Sequence[Mapping[str, Any]]) -> Facts:
    text: list[str] = []
    calls: dict[int, dict[str, str]] = {}
    finish = model = ""
    usage: Mapping[str, Any] | None = None
    for part in parts:
        model = part.get("model") or model
        usage = part.get("usage") or usage
        for choice in part.get("choices") or ():
            finish = choice.get("finish_reason") or finish
            message = choice.get("message") or choice.get("delta") or {}
            text.append(message.get("content") or choice.get("text") or "")
            for position, call in enumerate(message.get("tool_calls") or ()):
                known = calls.setdefault(call.get("index", position), {"id": "", "name": "", "arguments": ""})
                function = call.get("function") or {}
                known["id"] = call.get("id") or known["id"]
                known["name"] += function.get("name") or ""
                known["arguments"] += function.get("arguments") or ""
    return Facts(
        model=model or str(request.get("model") or ""),
        finish_reason=finish,
        text="".join(text),
        usage=None if usage is None else _usage(usage, "prompt", "completion"),
        tool_calls=[ToolCall(c["id"], c["name"], parsed(c["arguments"])) for c in calls.values()],
        tool_results=[
            ToolResult(str(message.get("tool_call_id", "")), message.get("content"))
            for message in mappings(request.get("messages"))
            if message.get("role") == "tool"
        ],
    )


def _of_response(request: Mapping[str, Any], whole: Mapping[str, Any]) -> Facts:
    items = mappings(whole.get("output"))
    texts = [
        part.get("text") or ""
        for item in items
        if item.get("type") == "message"
        for part in mappings(item.get("content"))
    ]
    calls = [
        ToolCall(str(item.get("call_id", "")), str(item.get("name", "")), parsed(item.get("arguments") or ""))
        for item in items
        if item.get("type") == "function_call"
    ]
    incomplete = whole.get("incomplete_details") or {}
    usage = whole.get("usage")
    return Facts(
        model=whole.get("model") or str(request.get("model") or ""),
        finish_reason=incomplete.get("reason") or whole.get("status") or "",
        text="".join(texts),
        usage=None if not usage else _usage(usage, "input", "output"),
        tool_calls=calls,
        tool_results=[
            ToolResult(str(item.get("call_id", "")), item.get("output"))
            for item in mappings(request.get("input"))
            if item.get("type") == "function_call_output"
        ],
    )


def _usage(usage: Mapping[str, Any], incoming: str, outgoing: str) -> Usage:
    read = count(usage.get(f"{incoming}_tokens_details"), "cached_tokens")
    written = count(usage.get(f"{incoming}_tokens_details"), "cache_write_tokens")
    reasoning = count(usage.get(f"{outgoing}_tokens_details"), "reasoning_tokens")
    return Usage(
        input_fresh=max(0, count(usage, f"{incoming}_tokens") - read - written),
        cache_read=read,
        cache_write=written,
        output_visible=max(0, count(usage, f"{outgoing}_tokens") - reasoning),
        reasoning=reasoning,
    )


INTEGRATION = Integration(
    name="openai",
    requires="openai>=1.40,<4",
    targets=("openai._base_client:SyncAPIClient.request", "openai._base_client:AsyncAPIClient.request"),
    reader=StainlessReader(
        kinds={
            "/chat/completions": "model",
            "/completions": "model",
            "/responses": "model",
            "/embeddings": "embedding",
            "/moderations": "model",
            "/images/generations": "model",
            "/images/edits": "model",
            "/audio/speech": "model",
            "/audio/transcriptions": "model",
            "/audio/translations": "model",
        }
    ),
    facts=facts,
    offered=offered,
    shapes=(
        Shape("/chat/completions", {"messages": (list,)}),
        Shape("/completions", {"prompt": (str, list)}),
        Shape("/responses", {"model": (str,), "input": (str, list)}),
        Shape("/embeddings", {"input": (str, list)}, "embedding"),
    ),
    credentials={"OPENAI_API_KEY": "replayed-without-a-key"},
)
