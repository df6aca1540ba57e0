"""JSON Schemas of rule files, so that an editor completes and checks them while they are written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from engine.rulebook import FOLDERS, OPTIONAL, SINGLE

DIALECT = "https://json-schema.org/draft/2020-12/schema"
WIRING = "vscode-settings.json"


def kinds() -> dict[str, tuple[str, type[BaseModel]]]:
    """Every kind of file: the pattern of its places in a rulebook, and its model."""
    found: dict[str, tuple[str, type[BaseModel]]] = {}
    for folder, model in FOLDERS.items():
        kind = folder if folder == "species" else folder.removesuffix("s")
        found[kind] = (f"{folder}/*/*.yaml" if folder == "behaviours" else f"{folder}/*.yaml", model)
    for name, model in (SINGLE | OPTIONAL).items():
        found[name.removesuffix(".yaml")] = (name, model)
    return found


def json_schema(kind: str) -> dict[str, Any]:
    """The JSON Schema of a file. `kind`: one of `kinds()`, such as behaviour or game."""
    _, model = kinds()[kind]
    schema = _tightened(model.model_json_schema(by_alias=True))
    return {"$schema": DIALECT, "$id": f"saxaul/{file_name(kind)}", **schema}


def _tightened(schema: Any) -> Any:
    """What the models refuse and the plain schema would not: keys that are no days, numbers without a because, links
    that are no address."""
    if isinstance(schema, list):
        return [_tightened(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: _tightened(inner) for key, inner in schema.items()}
    if "patternProperties" in made:
        made.setdefault("additionalProperties", False)
    if made.get("format") == "uri":
        made.setdefault("pattern", r"^https?://\S+$")
    properties = made.get("properties", {})
    if isinstance(properties, dict) and {"confidence", "because"} <= properties.keys():
        made["if"] = {"properties": {"confidence": {"enum": ["derived", "assumed"]}}}
        made["then"] = {"required": ["because"]}
    return made


def file_name(kind: str) -> str:
    """What the schema's file is called."""
    return f"{kind}.schema.json"


def wiring(schemas: str, rules: str = "game_rules") -> dict[str, Any]:
    """Settings of VS Code (with the YAML extension of Red Hat) that join schemas and rule files by folder."""
    return {
        "yaml.schemas": {
            f"./{schemas}/{file_name(kind)}": f"{rules}/{pattern}" for kind, (pattern, _) in kinds().items()
        },
        "yaml.yamlVersion": "1.2",
    }


def write(folder: Path) -> list[Path]:
    """Write all schemas and the settings for an editor into a folder; what was written. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    documents = {file_name(kind): json_schema(kind) for kind in kinds()}
    documents[WIRING] = wiring(folder.name)
    written = []
    for name, document in documents.items():
        place = folder / name
        place.write_text(json.dumps(document, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
        written.append(place)
    return written
