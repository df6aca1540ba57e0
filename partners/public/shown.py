"""What may be told of whom, and what partners, species and places are called. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from engine.core.numbers import order_number
from engine.core.rules import RuleBook
from engine.core.units import local_day
from partners.store.public_queries import Names

LEVELS = {
    1: ("the partner", "伙伴自查"),
    2: ("the platform", "平台核验"),
    3: ("an independent party", "独立第三方"),
}
M2_PER_HA = 10_000


@dataclass(frozen=True, slots=True)
class Book:
    """What names are taken from: the rulebook in force, the records, and which partners plant real trees."""

    rules: RuleBook
    names: Names
    is_live: Callable[[str], bool]

    def partner(self, name: str) -> dict[str, Any]:
        """An organisation; whom to ask there is told to nobody."""
        zh, en = self.names.partners.get(name, (name, name))
        return {"id": name, "names": {"en": en, "zh": zh}, "simulated": not self.is_live(name)}

    def species(self, name: str) -> dict[str, Any]:
        """A species of the rulebook; its id alone once the rulebook has it no longer."""
        known = self.rules.species.get(name)
        if known is None:
            return {"id": name, "scientific": None, "names": {"en": name, "zh": name}}
        return {"id": name, "scientific": known.scientific, "names": dict(known.names)}

    def programme(self, name: str) -> dict[str, Any]:
        """A programme."""
        known = self.rules.programmes.get(name)
        names = dict(known.names) if known is not None else {"en": name, "zh": name}
        return {"id": name, "names": names, "url": programme_url(name)}

    def site(self, name: str) -> dict[str, Any]:
        """A site; one without a record is called as its programme says."""
        if name in self.names.sites:
            zh, en = self.names.sites[name]
            return {"id": name, "names": {"en": en, "zh": zh}, "url": site_url(name)}
        programme = self.rules.programmes.get(name)
        names = dict(programme.site) if programme is not None else {"en": name, "zh": name}
        return {"id": name, "names": names, "url": None}


def surveyor_shown(surveyor: str) -> str:
    """Who counted, without the person: of `independent:institute/zhou` the role and the organisation, of
    `independent:zhou` the role alone. A name without role and without `/` is an organisation's."""
    role, colon, who = surveyor.partition(":")
    organisation, slash, _ = (who if colon else role).partition("/")
    if not colon:
        return organisation
    return f"{role}:{organisation}" if slash else role


def area(area_m2: int | None) -> dict[str, Any] | None:
    """An area in square metres, hectares and mu (2000/3 m²)."""
    if area_m2 is None:
        return None
    return {"m2": area_m2, "ha": round(area_m2 / M2_PER_HA, 2), "mu": round(area_m2 * 3 / 2000, 2)}


def day(instant: int | None) -> str | None:
    """The day of an instant, UTC: pages tell days, as a second would tell more than anybody needs."""
    return None if instant is None else local_day(instant, "UTC").isoformat()


def batch_number(name: str) -> str:
    """`17/1` as it is written in public."""
    order, _, report_no = name.partition("/")
    return f"{order_number(int(order))}/{report_no}"


def batch_url(name: str) -> str:
    """The page of a batch."""
    order, _, report_no = name.partition("/")
    return f"/v1/registry/batches/{order_number(int(order))}/{quote(report_no, safe='')}"


def programme_url(name: str) -> str:
    """The page of a programme."""
    return f"/v1/programmes/{quote(name, safe='')}"


def site_url(name: str) -> str:
    """The page of a site."""
    return f"/v1/registry/sites/{quote(name, safe='')}"
