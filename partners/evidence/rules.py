"""Reads evidence.yaml strictly into the core's rules: every code weighed once, every limit cited or explained."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields
from functools import lru_cache
from importlib.resources import files
from typing import Any, get_args

from engine.rulefiles.reading import Document, Problem, parse_document
from partners.core.evidence_rules import EvidenceRules
from partners.core.reasons import REASONS, Effect, Weight

FILE = "evidence.yaml"
CONFIDENCES = ("published", "derived", "assumed")
WHOLE_MAX = 10_000_000
_TEXTS = ("editors", "screen_words")
_SCORES = ("needs_info_score", "refused_score")
_APART = {"hash", "weights", *_TEXTS, *_SCORES}
_LIMITS = tuple(field.name for field in fields(EvidenceRules) if field.name not in _APART)


class EvidenceRulesError(Exception):
    """The file can't be used; each problem names its line and the fix."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


@lru_cache(maxsize=1)
def shipped_rules() -> EvidenceRules:
    """The rules that come with the package. Raises EvidenceRulesError."""
    return read_rules(files("partners.evidence").joinpath(FILE).read_bytes())


def read_rules(data: bytes, name: str = FILE) -> EvidenceRules:
    """The rules in these bytes. Raises EvidenceRulesError with every problem that was found."""
    document, problems = parse_document(data, name)
    if document is None:
        raise EvidenceRulesError(problems)
    reading = _Reading(document)
    rules = reading.rules(hashlib.sha256(data).hexdigest()[:16])
    if reading.problems or rules is None:
        raise EvidenceRulesError(reading.problems)
    return rules


class _Reading:
    """One pass over a document, collecting what is wrong."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self.problems: list[Problem] = []

    def rules(self, name: str) -> EvidenceRules | None:
        tree = self._mapping((), self._document.tree)
        self._known((), tree, {"confirmed_on", "references", "scores", "limits", "reasons", *_TEXTS})
        self._references = set(self._mapping(("references",), tree.get("references")))
        values: dict[str, Any] = {}
        for section, names in (("scores", _SCORES), ("limits", _LIMITS)):
            found = self._mapping((section,), tree.get(section))
            self._known((section,), found, set(names), all_of_them=True)
            for key in names:
                values[key] = self._whole((section, key), self._stated((section, key), found.get(key)))
        for key in _TEXTS:
            values[key] = self._texts((key,), self._stated((key,), tree.get(key)))
        weights = self._weights(self._mapping(("reasons",), tree.get("reasons")))
        if self.problems:
            return None
        return EvidenceRules(hash=name, weights=weights, **values)

    def _weights(self, found: Mapping[str, Any]) -> dict[str, Weight]:
        self._known(("reasons",), found, set(REASONS), all_of_them=True)
        weights = {}
        for code, entry in found.items():
            path = ("reasons", code)
            one = self._mapping(path, entry)
            self._known(path, one, {"weight", "effect"}, all_of_them=True)
            effect = one.get("effect")
            if effect not in get_args(Effect):
                self._wrong((*path, "effect"), effect, " | ".join(get_args(Effect)), "name one of them")
                continue
            weights[code] = Weight(self._whole((*path, "weight"), one.get("weight")), effect)
        return weights

    def _stated(self, path: tuple[str, ...], entry: Any) -> Any:
        """The value of an entry that says how sure it is, and why."""
        one = self._mapping(path, entry)
        self._known(path, one, {"value", "confidence", "references", "because"})
        if one.get("confidence") not in CONFIDENCES:
            self._wrong(
                (*path, "confidence"), one.get("confidence"), " | ".join(CONFIDENCES), "say how sure it is"
            )
        elif one["confidence"] == "assumed" and not one.get("because"):
            self._wrong((*path, "because"), None, "a sentence", "say why this value was chosen")
        elif one["confidence"] != "assumed" and not one.get("references"):
            self._wrong((*path, "references"), None, "at least one reference", "cite where it comes from")
        for name in one.get("references") or []:
            if name not in self._references:
                self._wrong(
                    (*path, "references"), name, "a reference of this file", "add it under references"
                )
        return one.get("value")

    def _mapping(self, path: tuple[str, ...], value: Any) -> Mapping[str, Any]:
        if isinstance(value, dict):
            return value
        self._wrong(path, value, "a mapping", "write names and values below it")
        return {}

    def _known(
        self, path: tuple[str, ...], found: Mapping[str, Any], names: set[str], all_of_them: bool = False
    ) -> None:
        for key in sorted(set(found) - names):
            self._wrong((*path, key), key, f"one of {', '.join(sorted(names))}", "remove or rename it")
        for key in sorted(names - set(found)) if all_of_them else ():
            self._wrong(path, "nothing", f"{key}", f"add {key}")

    def _whole(self, path: tuple[str, ...], value: Any) -> int:
        if isinstance(value, str) and value.isascii() and value.isdigit() and int(value[:9]) <= WHOLE_MAX:
            return int(value)
        self._wrong(path, value, f"a whole number from 0 to {WHOLE_MAX:,}", "write digits only")
        return 0

    def _texts(self, path: tuple[str, ...], value: Any) -> tuple[str, ...]:
        if isinstance(value, list) and value and all(isinstance(one, str) and one for one in value):
            return tuple(one.casefold() for one in value)
        self._wrong(path, value, "a list of words", "write [one, another]")
        return ()

    def _wrong(self, path: tuple[str, ...], found: Any, expected: str, fix: str) -> None:
        line = self._document.line_of(path)
        shown = "nothing" if found is None else repr(found)[:80]
        self.problems.append(Problem(self._document.file, line, ".".join(path), shown, expected, fix))
