"""The hash of a rulebook: over what its files say, not over how they are written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import date
from typing import Any

from pydantic import BaseModel

from engine.rulefiles.scalars import Exact

FORMAT = 2  # 1: without year tables, choices, measures and points
# What changes no ball: when a source was written down and last looked up, and what other schemes publish (ADR 0081).
ASIDE_KEYS = frozenset({"written_on", "confirmed_on"})
ASIDE_FILES = frozenset({"published.yaml"})


def content_hash(models: Mapping[str, BaseModel]) -> str:
    """The SHA-256 of the content of all files that decide anything, by their names."""
    files = {name: _canonical(file) for name, file in models.items() if name not in ASIDE_FILES}
    text = json.dumps(
        {"format": FORMAT, "files": files}, sort_keys=True, ensure_ascii=False, separators=(",", ":")
    )
    return hashlib.sha256(text.encode()).hexdigest()


def _canonical(tree: Any) -> Any:
    """What a file says, as JSON that does not depend on its formatting; without what it leaves out."""
    if isinstance(tree, BaseModel):
        fields = type(tree).model_fields
        written = tree.model_fields_set - ASIDE_KEYS
        return {fields[name].alias or name: _canonical(getattr(tree, name)) for name in written}
    if isinstance(tree, dict):
        return {str(_canonical(key)): _canonical(inner) for key, inner in tree.items()}
    if isinstance(tree, list | tuple):
        return [_canonical(inner) for inner in tree]
    if isinstance(tree, Exact):
        return tree.text.rstrip("0").rstrip(".") if "." in tree.text else tree.text
    if isinstance(tree, date):
        return tree.isoformat()
    return tree
