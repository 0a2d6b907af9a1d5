"""openai: chat completions, responses, embeddings and everything else of its client's request funnel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from agentrace.integrations.declaration import Dialogue, Facts, Integration, Message, Shape, ToolResult, Usage
from agentrace.integrations.openai_messages import arrived, asked, messages, of_choices, of_output
from agentrace.integrations.reading import count, mappings, media
from agentrace.integrations.stainless import StainlessReader, StainlessSender


def facts(request: Any, responses: Sequence[Any]) -> Facts:
    """What a call meant, from the request's JSON and the response's JSON or stream events.

    Shapes: the OpenAI API reference, objects ``chat.completion``, ``chat.completion.chunk``, ``response``, ``list`` of
    embeddings, and the usage objects of each.
    """
    request = request if isinstance(request, Mapping) else {}
    whole, parts = _read(responses)
    return _of_chat(request, parts) if whole is None else _of_response(request, whole)


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


def answer(responses: Sequence[Any]) -> Sequence[Message]:
    """What the model said, as far as it came: a message for each choice, or the items of a response in one."""
    whole, parts = _read(responses)
    if whole is not None:
        return of_output(mappings(whole.get("output")) or arrived(parts))
    made = [one for part in parts for one in mappings(part.get("data")) if "b64_json" in one or "url" in one]
    pictures = tuple(media("image", one.get("b64_json") or one.get("url")) for one in made)
    heard = [part["text"] for part in parts[-1:] if isinstance(part.get("text"), str)]
    told = [Message("assistant", "".join(heard), media=pictures)] if pictures or heard else []
    return [*of_choices(parts), *told]


def _read(responses: Sequence[Any]) -> tuple[Mapping[str, Any] | None, Sequence[Mapping[str, Any]]]:
    """The last state of a response, ``None`` if it is none; and everything that came."""
    parts = mappings(responses)
    whole = next((part["response"] for part in reversed(parts) if isinstance(part.get("response"), Mapping)), None)
    last = parts[-1] if parts else {}
    if whole is None and (last.get("object") == "response" or isinstance(last.get("output"), list)):
        whole = last
    return whole, parts


def _of_chat(request: Mapping[str, Any], parts: Sequence[Mapping[str, Any]]) -> Facts:
    finish = model = ""
    usage: Mapping[str, Any] | None = None
    for part in parts:
        model = part.get("model") or model
        usage = part.get("usage") or usage
        for choice in part.get("choices") or ():
            finish = choice.get("finish_reason") or finish
    said = of_choices(parts)
    return Facts(
        model=model or str(request.get("model") or ""),
        finish_reason=finish,
        text="".join(one.text for one in said),
        usage=None if usage is None else _usage(usage, "prompt", "completion"),
        tool_calls=[call for one in said for call in one.tool_calls],
        tool_results=[
            ToolResult(str(message.get("tool_call_id", "")), message.get("content"))
            for message in mappings(request.get("messages"))
            if message.get("role") == "tool"
        ],
    )


def _of_response(request: Mapping[str, Any], whole: Mapping[str, Any]) -> Facts:
    said = of_output(mappings(whole.get("output")))
    incomplete = whole.get("incomplete_details") or {}
    usage = whole.get("usage")
    return Facts(
        model=whole.get("model") or str(request.get("model") or ""),
        finish_reason=incomplete.get("reason") or whole.get("status") or "",
        text="".join(one.text for one in said),
        usage=None if not usage else _usage(usage, "input", "output"),
        tool_calls=[call for one in said for call in one.tool_calls],
        tool_results=[
            ToolResult(str(item.get("call_id", "")), item.get("output"))
            for item in mappings(request.get("input"))
            if str(item.get("type")).endswith("_call_output")
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


_READER: Final = StainlessReader(
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
)

INTEGRATION = Integration(
    name="openai",
    requires="openai>=1.40,<4",
    targets=("openai._base_client:SyncAPIClient.request", "openai._base_client:AsyncAPIClient.request"),
    reader=_READER,
    facts=facts,
    facts_version="2",
    dialogue=Dialogue(asked, messages, answer),
    offered=offered,
    sender=StainlessSender("openai", "OpenAI", _READER),
    shapes=(
        Shape("/chat/completions", {"messages": (list,)}),
        Shape("/completions", {"prompt": (str, list)}),
        Shape("/responses", {"model": (str,), "input": (str, list)}),
        Shape("/embeddings", {"input": (str, list)}, "embedding"),
    ),
    credentials={"OPENAI_API_KEY": "replayed-without-a-key"},
)
