"""Which partners work in the portal: one small TOML file, without any secret."""

from __future__ import annotations

import base64
import hmac
import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

PartnerId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]


class PortalConfigError(Exception):
    """The file can't be used; the text names the place and the fix."""


class PortalPartner(BaseModel):
    """A partner whose staff work in the portal. `language`: of sheets, and of pages for whoever has not chosen."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = ""
    language: Literal["zh", "en"] = "zh"
    form: Literal["xlsx", "csv"] = "xlsx"
    is_live: bool = True
    keys: tuple[str, ...] = Field((), repr=False, max_length=0)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    partners: dict[PartnerId, PortalPartner] = Field(default_factory=dict, max_length=1000)


def read_portal_config(path: Path, server_key: str) -> dict[str, PortalPartner]:
    """The partners that the file names, each with a key of its own made of the server's. Raises PortalConfigError."""
    try:
        stated = _File(**tomllib.loads(path.read_text("utf-8")))
    except ValidationError as problem:
        told = [f"{'.'.join(map(str, one['loc'])) or 'file'}: {one['msg']}" for one in problem.errors()]
        raise PortalConfigError(f"{path}: {'; '.join(told)}") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, TypeError) as problem:
        raise PortalConfigError(f"{path}: {problem}") from problem
    return {
        name: partner.model_copy(update={"id": name, "keys": (partner_key(server_key, name),)})
        for name, partner in stated.partners.items()
    }


def partner_key(server_key: str, partner: str) -> str:
    """The key that signs a portal partner's codes and upload passes: it never leaves us."""
    digest = hmac.digest(server_key.encode(), b"saxaul portal partner:" + partner.encode(), "sha256")
    return "whsec_" + base64.b64encode(digest).decode()
