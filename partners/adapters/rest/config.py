"""The file that names partners with developers (`SAXAUL_PARTNER_REST`), read strictly."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from partners.signing import secret_bytes

KEYS_MAX = 10
SERVER_CHANGES = {"poll_s": 60, "has_sandbox": False, "lines_max": 1}


class RestConfigError(Exception):
    """The file can't be used; the text names the place and the fix."""


@dataclass(frozen=True, slots=True)
class RestPartner:
    """One such partner. `address`: of its server; empty: it calls our partner API. `changes`: capabilities that differ
    from the manifest."""

    id: str
    address: str
    keys: tuple[str, ...]
    timeout_s: float
    changes: dict[str, Any]


class _Partner(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    is_live: bool
    address: str = Field("", max_length=500)
    key_file: str = ""
    timeout_s: float = Field(10.0, ge=0.1, le=25.0)
    uploads_evidence: bool = False


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    partners: dict[str, _Partner] = Field(default_factory=dict)


def read_rest_config(path: Path) -> list[RestPartner]:
    """The partners of a file. Raises RestConfigError."""
    try:
        told = _File.model_validate(tomllib.loads(path.read_text("utf-8")))
    except OSError as problem:
        raise RestConfigError(f"{path}: {problem.strerror}") from problem
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise RestConfigError(f"{path}: {problem}") from problem
    except ValidationError as problem:
        first = problem.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise RestConfigError(f"{path}: {place}: {first['msg']}") from problem
    return [_partner(path, name, one) for name, one in told.partners.items()]


def _partner(path: Path, name: str, told: _Partner) -> RestPartner:
    keys = _keys(path, name, told.key_file) if told.key_file else ()
    changes: dict[str, Any] = {"is_live": told.is_live, "uploads_evidence": told.uploads_evidence}
    if told.address:
        _check_address(path, name, told.address)
        if not keys:
            raise RestConfigError(
                f"{path}: {name}: a server needs a key_file, whose key signs what it is asked"
            )
        changes |= SERVER_CHANGES
    elif not keys:
        changes["pushes"] = False
    return RestPartner(name, told.address, keys, told.timeout_s, changes)


def _check_address(path: Path, name: str, address: str) -> None:
    parts = urlsplit(address)
    is_here = parts.hostname in ("127.0.0.1", "::1", "localhost")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_here):
        raise RestConfigError(f"{path}: {name}: address must be https://… (http only on this machine)")


def _keys(path: Path, name: str, key_file: str) -> tuple[str, ...]:
    try:
        lines = (path.parent / key_file).read_text("utf-8").split()[:KEYS_MAX]
        [secret_bytes(line) for line in lines]
    except OSError as problem:
        raise RestConfigError(f"{path}: {name}: key_file: {problem.strerror}") from problem
    except ValueError as problem:
        raise RestConfigError(f"{path}: {name}: key_file: {problem}") from problem
    if not lines:
        raise RestConfigError(f"{path}: {name}: key_file is empty")
    return tuple(lines)
