"""The messages of the OpenAI API: of chat completions, of responses, and what its other calls are given and give.

Shapes: the OpenAI API reference, ``messages`` of chat completions, ``input`` and ``output`` of responses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from agentrace.integrations.declaration import Asked, Media, Message, ServedCall, ToolCall
from agentrace.integrations.reading import cited, mapping, mappings, media, parsed, text_of, written

Json = Mapping[str, Any]


def asked(request: Any) -> Asked:
    """Where the messages of a request stand; texts that are embedded, spoken or looked at are the user's."""
    request = mapping(request)
    parts: list[tuple[str, Sequence[Any]]] = []
    if isinstance(request.get("messages"), list):
        parts.append(("", request["messages"]))
    if text_of(request.get("instructions")):
        parts.append(("system", [request["instructions"]]))
    for field in ("input", "prompt"):
        given = request.get(field)
        if isinstance(given, (str, list)):
            parts.append(("user", given if isinstance(given, list) else [given]))
    conversation = request.get("conversation")
    kept = request.get("previous_response_id") or mapping(conversation).get("id") or conversation
    return Asked(parts, text_of(kept))


def messages(role: str, item: Any) -> list[Message]:
    """One text, message or item of a request. Tokens that are given as numbers are no text."""
    if isinstance(item, str):
        return [Message(role, item)]
    item = mapping(item)
    kind = text_of(item.get("type"))
    if kind in ("", "message"):
        return [_said(item, text_of(item.get("role")) or role)]
    if kind in _PARTS:
        return [Message(role, _text([item]), media=_media([item]))]
    return _of_item(kind, item)


def of_choices(parts: Sequence[Json]) -> list[Message]:
    """The answers in a chat completion or a completion: one for each choice, put together from pieces."""
    made: dict[Any, tuple[dict[str, list[str]], dict[str, Any], dict[Any, dict[str, Any]]]] = {}
    for part in parts:
        for place, choice in enumerate(mappings(part.get("choices"))):
            texts, rest, calls = made.setdefault(choice.get("index", place), ({}, {}, {}))
            told = choice.get("message") or choice.get("delta") or {"content": choice.get("text")}
            for field, value in told.items():
                if isinstance(value, str):
                    texts.setdefault(field, []).append(value)
                elif field == "tool_calls":
                    for position, call in enumerate(mappings(value)):
                        _grown(calls.setdefault(call.get("index", position), {}), call)
                elif value:
                    rest[field] = value
    return [
        _said({field: "".join(pieces) for field, pieces in texts.items()} | rest | {"tool_calls": calls}, "assistant")
        for texts, rest, found in made.values()
        for calls in [list(found.values())]
    ]


def of_output(items: Sequence[Json]) -> list[Message]:
    """What a response answered: one message, or as many as there are items with text in it."""
    made: list[Message] = []
    for item in items:
        for said in messages("assistant", item):
            if made and made[-1].role == said.role and not (made[-1].text and said.text):
                made[-1] = _joined(made[-1], said)
            else:
                made.append(said)
    return made


def arrived(parts: Sequence[Json]) -> list[Json]:
    """The items of a response whose stream broke off."""
    items: dict[Any, Json] = {}
    for part in parts:
        place, item = part.get("output_index"), part.get("item")
        if isinstance(item, Mapping):
            items[place] = item
        elif part.get("type") == "response.output_text.delta":
            before = _text(mappings(mapping(items.get(place)).get("content")))
            content = [{"type": "output_text", "text": before + text_of(part.get("delta"))}]
            items[place] = {"type": "message", "content": content}
    return list(items.values())


_TEXTS: Final = frozenset({"text", "input_text", "output_text", "summary_text", "reasoning_text"})
_MEDIA: Final = {
    "image_url": ("image", "image_url"),
    "input_image": ("image", "image_url"),
    "input_audio": ("audio", "input_audio"),
    "file": ("file", "file"),
    "input_file": ("file", "file_data"),
}
"""Parts of a message: what they are, and the field that tells it."""
_PARTS: Final = _TEXTS | set(_MEDIA)


def _said(item: Json, role: str) -> Message:
    content, audio = item.get("content"), mapping(item.get("audio"))
    parts = () if isinstance(content, str) else mappings(content)
    calls = [*mappings(item.get("tool_calls")), *mappings([item.get("function_call")])]
    notes = [note for one in (item, *parts) for note in mappings(one.get("annotations"))]
    kept = [media("audio", audio.get("data"), "", audio.get("id"))] if audio else []
    return Message(
        role,
        text=text_of(content) or _text(parts) or text_of(audio.get("transcript")),
        reasoning=text_of(item.get("reasoning_content")) or text_of(item.get("reasoning")),
        tool_calls=tuple([_call(call) for call in calls]),
        tool_call_id=text_of(item.get("tool_call_id")),
        name=text_of(item.get("name")),
        refusal=text_of(item.get("refusal")) or "".join([text_of(part.get("refusal")) for part in parts]),
        citations=tuple(cited(notes)) if notes else (),
        media=(*_media(parts), *kept) if parts or kept else (),
    )


def _call(call: Json) -> ToolCall:
    told = mapping(call.get("function") or call.get("custom")) or call
    given = told.get("arguments") if "arguments" in told else told.get("input")
    return ToolCall(text_of(call.get("id")), text_of(told.get("name")), _arguments(given))


def _arguments(given: Any) -> Any:
    return parsed(given) if isinstance(given, str) else given


def _grown(known: dict[str, Any], piece: Json) -> None:
    """A call of a tool with what came of it."""
    known["id"] = piece.get("id") or known.get("id")
    for kind in ("function", "custom"):
        for field, value in mapping(piece.get(kind)).items():
            told = known.setdefault(kind, {})
            told[field] = told.get(field, "") + text_of(value)


def _text(parts: Sequence[Json]) -> str:
    return "".join(text_of(part.get("text")) for part in parts if part.get("type") in _TEXTS)


def _media(parts: Sequence[Json]) -> tuple[Media, ...]:
    """Every part that is no text."""
    found: list[Media] = []
    for part in parts:
        kind = text_of(part.get("type"))
        if kind in _TEXTS or kind == "refusal":
            continue
        kind, field = _MEDIA.get(kind, (kind, kind))
        inner = mapping(part.get(field))
        content = inner.get("url") or inner.get("data") or inner.get("file_data") or text_of(part.get(field))
        mime = f"audio/{inner['format']}" if text_of(inner.get("format")) else ""
        told = {**part, **inner}
        source = told.get("filename") or told.get("file_id") or told.get("file_url") or told.get("id")
        found.append(media(kind, content, mime, source))
    return tuple(found)


def _of_item(kind: str, item: Json) -> list[Message]:
    """An item of a response's input or output that is no message."""
    call_id, own = text_of(item.get("call_id")), text_of(item.get("id"))
    if kind == "reasoning":
        thoughts = _text(mappings(item.get("summary"))) or _text(mappings(item.get("content")))
        return [Message("assistant", reasoning=thoughts)] if thoughts else []
    if kind.endswith("_call_output"):
        output = item.get("output")
        parts = mappings(output)
        text = _text(parts) if parts and isinstance(output, list) else written(output)
        return [Message("tool", text, tool_call_id=call_id, media=_media(parts))]
    name = text_of(item.get("name")) or kind.removesuffix("_call")
    given = next((item[field] for field in _GIVEN if item.get(field) is not None), None)
    result = next((item[field] for field in _GAVE if item.get(field) is not None), None)
    if kind == "image_generation_call":
        return [Message("assistant", media=(media("image", result, _image_type(item), own),))]
    if call_id:
        return [Message("assistant", tool_calls=(ToolCall(call_id, name, _arguments(given)),))]
    if kind.endswith("_call"):
        return [Message("assistant", served=(ServedCall(own, name, _arguments(given), result),))]
    return [Message("assistant", media=(Media(kind, source=own),))]


_GIVEN: Final = ("arguments", "input", "action", "actions", "queries", "code", "operation")
_GAVE: Final = ("output", "results", "outputs", "result", "error")


def _image_type(item: Json) -> str:
    form = text_of(item.get("output_format"))
    return f"image/{form}" if form else ""


def _joined(one: Message, other: Message) -> Message:
    return Message(
        one.role,
        one.text + other.text,
        "\n\n".join(text for text in (one.reasoning, other.reasoning) if text),
        (*one.tool_calls, *other.tool_calls),
        refusal=one.refusal + other.refusal,
        citations=tuple(dict.fromkeys([*one.citations, *other.citations])),
        media=(*one.media, *other.media),
        served=(*one.served, *other.served),
    )
