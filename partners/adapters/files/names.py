"""What a partner calls species and places, and what we call them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.core.rules import RuleBook
from partners.sheets.cells import folded


@dataclass(frozen=True, slots=True)
class Names:
    """`species`: id → (scientific name, names by language); `sites`: id → names by language."""

    species: Mapping[str, tuple[str, Mapping[str, str]]] = field(default_factory=dict)
    sites: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def scientific(self, species: str) -> str:
        """The scientific name; the id of a species that the rulebook no longer has."""
        return self.species[species][0] if species in self.species else species

    def local(self, species: str, language: str) -> str:
        """The everyday name."""
        return self.species[species][1].get(language, species) if species in self.species else species

    def site(self, site: str, language: str) -> str:
        """The name of a place."""
        return self.sites.get(site, {}).get(language, site)

    def species_called(self, text: str) -> str | None:
        """The id of the species that a partner means; None where no species is called so."""
        said = folded(text)
        for name, (scientific, names) in self.species.items():
            known = {folded(one) for one in (name, scientific, *names.values())}
            if said in known or said in {folded(f"{scientific} {one}") for one in names.values()}:
                return name
        return None

    def is_site(self, text: str, site: str) -> bool:
        """Whether a partner means this place."""
        return folded(text) in {folded(one) for one in (site, *self.sites.get(site, {}).values())}


def names_of(rules: RuleBook) -> Names:
    """The names in a rulebook; a programme has one site so far, by the programme's id."""
    return Names(
        {species.id: (species.scientific, species.names) for species in rules.species.values()},
        {programme.id: programme.site for programme in rules.programmes.values()},
    )
