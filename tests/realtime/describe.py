"""Makes the reference of the protocol from its types: `python -m tests.realtime.describe` writes it to docs/.

`document()` is an AsyncAPI 3 description for tools, `page()` the same for people, after the prose that stands there.
A test says when either is stale.
"""

import inspect
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from engine.core.errors import CODES
from engine.realtime import messages, protocol
from engine.realtime.limits import Limits
from engine.realtime.methods import METHODS, Write

DOCS = Path(__file__).parents[2] / "docs"
BEGIN = "<!-- tables: made by python -m tests.realtime.describe -->"
REF = "#/components/schemas/{name}"
ENVELOPES = (
    protocol.Connect,
    protocol.Refresh,
    protocol.Subscribe,
    protocol.Unsubscribe,
)


def document() -> dict[str, Any]:
    """The AsyncAPI 3.0 document."""
    types = _types()
    schemas, components = msgspec.json.schema_components(types, ref_template=REF)
    del schemas
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Saxaul, real time",
            "version": "1.0.0",
            "description": "The Centrifuge client protocol v2 (JSON): any official Centrifuge SDK is a client. "
            "Methods are called by rpc; publications come on channels.",
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "game": {
                "host": "{host}",
                "pathname": "/connection/websocket",
                "protocol": "wss",
                "variables": {"host": {"default": "127.0.0.1:8000"}},
            }
        },
        "channels": _channels(),
        "operations": _operations(),
        "components": {"schemas": components, "messages": _messages()},
    }


def _types() -> list[type]:
    methods = [method.params for method in METHODS.values()]
    published = [kind for kinds in messages.PUBLICATIONS.values() for kind in kinds]
    own = [*messages.REPLIES.values(), messages.Refused, messages.Hello]
    return list(dict.fromkeys([*ENVELOPES, *methods, *published, *own]))


def _name(method: str) -> str:
    return "".join(part.title() for part in method.split("."))


def _messages() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, method in METHODS.items():
        found[f"{_name(name)}Call"] = _message(name, method.params, f"`data` of rpc `{name}`.")
        reply = messages.REPLIES[name]
        found[f"{_name(name)}Reply"] = {
            "name": name,
            "summary": f"`data` of the reply to `{name}`, or a refusal by the game.",
            "payload": {"oneOf": [_ref(reply), _ref(messages.Refused)]},
        }
    for kinds in messages.PUBLICATIONS.values():
        for kind in kinds:
            found[kind.__name__] = _message(_tag(kind), kind, _doc(kind))
    return found


def _message(name: str, kind: type, summary: str) -> dict[str, Any]:
    return {"name": name, "summary": summary, "payload": _ref(kind)}


def _ref(kind: type) -> dict[str, str]:
    return {"$ref": REF.format(name=kind.__name__)}


def _message_ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/messages/{name}"}


def _channels() -> dict[str, Any]:
    found: dict[str, Any] = {
        "rpc": {
            "address": None,
            "description": "Methods, called by rpc on the connection.",
            "messages": {
                f"{_name(name)}{part}": _message_ref(f"{_name(name)}{part}")
                for name in METHODS
                for part in ("Call", "Reply")
            },
        }
    }
    about = {
        "user": "A user's own account: only they may listen.",
        "forest": "A forest as friends see it: its owner and their friends may listen.",
    }
    for kind, published in messages.PUBLICATIONS.items():
        found[kind] = {
            "address": f"{kind}:{{user}}",
            "description": about[kind],
            "parameters": {"user": {"description": "Decimal id of the user."}},
            "messages": {message.__name__: _message_ref(message.__name__) for message in published},
        }
    return found


def _operations() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in METHODS:
        part = _name(name)
        found[f"call{part}"] = {
            "action": "receive",
            "channel": {"$ref": "#/channels/rpc"},
            "messages": [{"$ref": f"#/channels/rpc/messages/{part}Call"}],
            "reply": {
                "channel": {"$ref": "#/channels/rpc"},
                "messages": [{"$ref": f"#/channels/rpc/messages/{part}Reply"}],
            },
        }
    for kind, published in messages.PUBLICATIONS.items():
        found[f"publish{kind.title()}"] = {
            "action": "send",
            "channel": {"$ref": f"#/channels/{kind}"},
            "messages": [{"$ref": f"#/channels/{kind}/messages/{message.__name__}"} for message in published],
        }
    return found


# --- for people -----------------------------------------------------------------------------------


def page() -> str:
    """docs/protocol.md."""
    prose, _, _ = (DOCS / "protocol.md").read_text().partition(BEGIN)
    parts = [prose.rstrip(), "", BEGIN, "", "## Methods", "", *_method_rows(), ""]
    parts += ["## Publications", ""]
    for kind in dict.fromkeys(kind for kinds in messages.PUBLICATIONS.values() for kind in kinds):
        parts += [f"### `{_tag(kind)}`", "", _doc(kind), "", *_field_table(kind), ""]
    parts += ["## Facts", ""]
    for kind in (messages.Ball, messages.Activity, messages.Tree, messages.Friendship, messages.Taken):
        parts += [f"### {kind.__name__}", "", _doc(kind), "", *_field_table(kind), ""]
    parts += ["## Data of calls", ""]
    for name, method in METHODS.items():
        if method.params.__struct_fields__:
            parts += [f"### `{name}`", "", _doc(method.params), "", *_field_table(method.params), ""]
    parts += ["## Data of replies", ""]
    for name, reply in messages.REPLIES.items():
        parts += [f"### `{name}`", "", _doc(reply), "", *_field_table(reply), ""]
    parts += ["## Errors of the protocol", "", *_error_rows(), "", "## Close codes", "", *_close_rows(), ""]
    parts += ["## Refusals by the game", "", *_code_rows(), "", "## Limits", "", *_limit_rows(), ""]
    return "\n".join(parts)


def _method_rows() -> Iterable[str]:
    yield "| rpc | data | reply data | changes something |"
    yield "|---|---|---|---|"
    for name, method in METHODS.items():
        sent = ", ".join(_optional(method.params, field) for field in method.params.__struct_fields__)
        got = ", ".join(
            _optional(messages.REPLIES[name], f) for f in messages.REPLIES[name].__struct_fields__
        )
        yield f"| `{name}` | `{{{sent}}}` | `{{{got}}}` | {'yes' if isinstance(method, Write) else 'no'} |"


def _optional(kind: type[msgspec.Struct], name: str) -> str:
    required = {f.name for f in msgspec.structs.fields(kind) if f.required}
    return name if name in required else f"{name}?"


def _field_table(kind: type[msgspec.Struct]) -> Iterable[str]:
    properties = _resolved(kind)["properties"]
    required = set(_resolved(kind).get("required", ()))
    yield "| field | type | |"
    yield "|---|---|---|"
    for name, schema in properties.items():
        yield f"| `{name}{'' if name in required else '?'}` | {_type_text(schema)} | {_notes(schema)} |"


def _resolved(kind: type[msgspec.Struct]) -> dict[str, Any]:
    _, components = msgspec.json.schema_components([kind], ref_template=REF)
    return components[kind.__name__]


def _type_text(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return schema["$ref"].rsplit("/", 1)[1]
    if "anyOf" in schema:
        return " or ".join(_type_text(option) for option in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"] if value is not None)
    if schema.get("type") == "array":
        return f"list of {_type_text(schema['items'])}"
    if schema.get("type") == "object" and "additionalProperties" in schema:
        return f"map of {_type_text(schema['additionalProperties'])}"
    words = {"integer": "integer", "string": "text", "boolean": "true or false", "null": "null"}
    return words.get(schema.get("type", ""), "any")


def _notes(schema: dict[str, Any]) -> str:
    found = [schema["description"]] if "description" in schema else []
    bounds = (("minItems", "at least"), ("maxItems", "at most"), ("minimum", "from"), ("maximum", "to"))
    found += [f"{word} {schema[name]}" for name, word in bounds if schema.get(name)]
    if schema.get("default") not in (None, "", False):
        found.append(f"default {json.dumps(schema['default'])}")
    return "; ".join(found)


def _error_rows() -> Iterable[str]:
    yield "| code | message | temporary |"
    yield "|---|---|---|"
    for error in protocol.ERRORS:
        yield f"| {error.code} | {error.message} | {'yes' if error.temporary else ''} |"


def _close_rows() -> Iterable[str]:
    yield "| code | reason | the SDKs |"
    yield "|---|---|---|"
    for close in sorted(protocol.CLOSES):
        stops = 3500 <= close.code < 4000 or close.code == protocol.TOO_BIG.code
        yield f"| {close.code} | {close.reason} | {'stop' if stops else 'come back'} |"


def _code_rows() -> Iterable[str]:
    yield "| code | meaning |"
    yield "|---|---|"
    for code, meaning in CODES.items():
        yield f"| `{code}` | {meaning} |"


def _limit_rows() -> Iterable[str]:
    yield "| limit | default |"
    yield "|---|---|"
    limits = Limits()
    for name in Limits.__slots__:
        yield f"| `{name}` | {getattr(limits, name)} |"


def _tag(kind: type[msgspec.Struct]) -> str:
    return str(kind.__struct_config__.tag)


def _doc(kind: type) -> str:
    """The type's docstring on one line."""
    return re.sub(r"\s+", " ", inspect.getdoc(kind) or "")


def main() -> None:
    """Write both files."""
    (DOCS / "asyncapi.json").write_text(json.dumps(document(), indent=1, ensure_ascii=False) + "\n")
    (DOCS / "protocol.md").write_text(page())


if __name__ == "__main__":
    main()
