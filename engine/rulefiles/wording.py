"""Tells people who write rules what a file's shape refused: what was found and expected, what to do."""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterator
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from engine.rulefiles.checks import Finding
from engine.rulefiles.cited_models import Picked
from engine.rulefiles.reading import Document, Step, TreePath

KINDS = {
    "dict_type": "a mapping of keys to values",
    "list_type": "a list (lines that begin with -)",
    "model_type": "a mapping of keys to values",
}


def findings_of(error: ValidationError, model: type[BaseModel], document: Document) -> Iterator[Finding]:
    """A finding for each complaint of a validation."""
    for complaint in error.errors(include_url=False):
        path = _tree_path(complaint["loc"], document)
        yield _finding(dict(complaint), path, model, document)


def _finding(
    complaint: dict[str, Any], path: TreePath, model: type[BaseModel], document: Document
) -> Finding:
    kind, context = complaint["type"], complaint.get("ctx") or {}
    if kind == "rule":
        return Finding(path, context["found"], context["expected"], context["fix"])
    if kind == "missing":
        key = str(complaint["loc"][-1])
        return Finding(path, f"no key {key!r}", _about(model, path, document, key), f"add {key}: …")
    if kind == "extra_forbidden":
        return _unknown_key(path, model, document)
    if kind == "union_tag_not_found":
        return Finding(path, "no method", "the name of a method", "add method: … (see docs/rules.md)")
    if kind == "union_tag_invalid":
        return Finding(
            (*path, "method"),
            repr(context.get("tag")),
            f"one of {context.get('expected_tags')}",
            "choose one of them",
        )
    if kind == "literal_error":
        return Finding(
            path, repr(complaint["input"])[:120], f"one of {context.get('expected')}", "choose one of them"
        )
    if kind in KINDS:
        found = "nothing" if complaint["input"] is None else repr(complaint["input"])[:120]
        return Finding(path, found, KINDS[kind], "indent the lines below the key")
    if kind == "too_short":
        return Finding(path, "an empty list or mapping", "at least one entry", "add one")
    return Finding(path, repr(complaint.get("input"))[:120], str(complaint["msg"]), "see docs/rules.md")


def _tree_path(location: tuple[Step, ...], document: Document) -> TreePath:
    """The part of a pydantic location that is in the file (pydantic also names methods and keys)."""
    path: TreePath = ()
    for step in location:
        if (*path, step) in document.lines:
            path = (*path, step)
    return path


def _unknown_key(path: TreePath, model: type[BaseModel], document: Document) -> Finding:
    key = str(path[-1]) if path else "?"
    holder = model_at(model, path[:-1], document)
    known = _keys(holder) if holder else []
    near = difflib.get_close_matches(key, known, n=1)
    fix = f"did you mean {near[0]}?" if near else "remove it"
    if not near and " " in key:
        fix = "if it is the rest of a text with a comma, put the whole text in quotes"
    return Finding(
        path, f"the unknown key {key!r}", f"one of {', '.join(known)}" if known else "a known key", fix
    )


def _about(model: type[BaseModel], path: TreePath, document: Document, key: str) -> str:
    holder = model_at(model, path, document)
    for name, field in (holder.model_fields if holder else {}).items():
        if (field.alias or name) == key:
            return field.description or "this key"
    return "this key"


def _keys(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def model_at(model: type[BaseModel], path: TreePath, document: Document) -> type[BaseModel] | None:
    """The model that describes a place in a file; None where there is none."""
    holder: Any = model
    tree: Any = document.tree
    for step in path:
        tree = _inside(tree, step)
        holder = _choose(_annotation(holder, step), tree)
        if holder is None:
            return None
    return holder if isinstance(holder, type) and issubclass(holder, BaseModel) else None


def _inside(tree: Any, step: Step) -> Any:
    try:
        return tree[step]
    except (KeyError, IndexError, TypeError):
        return None


def _annotation(holder: Any, step: Step) -> Any:
    if isinstance(holder, type) and issubclass(holder, BaseModel):
        fields = {field.alias or name: field.annotation for name, field in holder.model_fields.items()}
        return fields.get(str(step))
    if get_origin(holder) in (list, dict):
        return get_args(holder)[-1]
    return None


def _choose(annotation: Any, tree: Any) -> Any:
    """The annotation without Annotated and Optional; of several models, the one of the file's method."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) not in (Union, types.UnionType):
        return annotation
    choices = [_choose(choice, tree) for choice in get_args(annotation) if choice is not type(None)]
    if isinstance(tree, dict) and any(_is_picked(choice) for choice in choices):
        choices = [choice for choice in choices if _is_picked(choice) == ("by" in tree)]
    method = tree.get("method") if isinstance(tree, dict) else None
    for choice in choices:
        if method in _methods(choice):
            return choice
    return choices[0] if len(choices) == 1 else None


def _is_picked(choice: Any) -> bool:
    return isinstance(choice, type) and issubclass(choice, Picked)


def _methods(choice: Any) -> tuple[Any, ...]:
    """The method names that a formula's model stands for."""
    if not (isinstance(choice, type) and issubclass(choice, BaseModel) and "method" in choice.model_fields):
        return ()
    return get_args(choice.model_fields["method"].annotation)
