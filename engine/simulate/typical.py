"""What an ordinary report of a behaviour looks like: the first worked example of its file that earns something."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from engine.rulefiles.reading import read_document


@dataclass(frozen=True, slots=True)
class Typical:
    """A quantity as written in the example, and the attributes and kind of evidence that go with it."""

    quantity: Decimal
    attributes: Mapping[str, str] = field(default_factory=dict)
    evidence: str | None = None


def typical_reports(folder: Path, names: Container[str] | None = None) -> dict[str, Typical]:
    """Behaviour → its typical report, for the named behaviours (None: all) of a rulebook's folder.

    The rulebook was checked before.
    """
    found: dict[str, Typical] = {}
    for path in sorted(folder.glob("behaviours/*/*.yaml")):
        if names is not None and path.stem not in names:
            continue
        document, _ = read_document(path, path.name)
        tree = document.tree if document else None
        if isinstance(tree, dict):
            typical = _typical(tree.get("examples"))
            if typical is not None:
                found[path.stem] = typical
    return found


def _typical(examples: Any) -> Typical | None:
    if not isinstance(examples, list):
        return None
    usable = [one for one in examples if isinstance(one, dict) and "refused" not in one and "unit" not in one]
    earning = [one for one in usable if one.get("energy_g") not in (None, "0")]
    for example in (*earning, *usable):
        try:
            quantity = Decimal(example.get("quantity") or "1")
        except InvalidOperation:  # a fraction; the next example may be a decimal
            continue
        attributes = example.get("attributes")
        return Typical(
            quantity, dict(attributes) if isinstance(attributes, dict) else {}, example.get("evidence")
        )
    return None
