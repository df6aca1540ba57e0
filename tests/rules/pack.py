"""A small rulebook for tests that need to bend one: written fresh into a folder, edited line by line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engine.core.rules import RuleBook
from engine.rulebook import Report, check_rulebook, load_rulebook
from engine.rulefiles.reading import parse_document

FILES = {
    "references.yaml": """\
references:
  scheme: {title: Its page, publisher: It, date: 2020-05, link: "https://example.org/scheme", licence: CC0}
""",
    "game.yaml": """\
ripen_delay_h: {2020-01-01: {value: 24, confidence: documented, references: [scheme]}}
life_h: {2020-01-01: {value: 72, confidence: documented, references: [scheme]}}
floor_pct: {2020-01-01: {value: 50, confidence: documented, references: [scheme]}}
head_start_s: {2020-01-01: {value: 60, confidence: documented, references: [scheme]}}
share_min_pct: {2020-01-01: {value: 1, confidence: documented, references: [scheme]}}
share_max_pct: {2020-01-01: {value: 30, confidence: documented, references: [scheme]}}
late_limit_d: {2020-01-01: {value: 30, confidence: documented, references: [scheme]}}
morning_from_min: {2020-01-01: {value: 420, confidence: documented, references: [scheme]}}
morning_window_min: {2020-01-01: {value: 30, confidence: documented, references: [scheme]}}
future_tolerance_s: {2020-01-01: {value: 300, confidence: documented, references: [scheme]}}
friends_max: {2020-01-01: {value: 1000, confidence: documented, references: [scheme]}}
collect_balls_max: {2020-01-01: {value: 50, confidence: documented, references: [scheme]}}
forest_balls_max: {2020-01-01: {value: 200, confidence: documented, references: [scheme]}}
overlap_window_s: {2020-01-01: {value: 300, confidence: documented, references: [scheme]}}
day_acts_max: {2020-01-01: {value: 100, confidence: documented, references: [scheme]}}
shown_day_max: {2020-01-01: {value: 5, confidence: documented, references: [scheme]}}
review_share_pct: {2020-01-01: {value: 5, confidence: documented, references: [scheme]}}
""",
    "factors/grid.yaml": """\
id: grid
names: {zh: 电网, en: grid}
unit: kgCO2e/kWh
boundary: generation
fallback: [CN]
figures:
  - region: CN
    year: 2021
    from: 2020-01-01
    value: 0.5568
    confidence: documented
    references: [scheme]
    table: national
  - region: CN
    year: 2022
    from: 2022-01-01
    value: 0.5366
    confidence: documented
    references: [scheme]
    table: national
  - region: CN-HE
    year: 2022
    from: 2022-01-01
    value: 0.7252
    confidence: documented
    references: [scheme]
    table: Hebei
""",
    "behaviours/energy-efficiency/saving.yaml": """\
id: saving
category: energy-efficiency
names: {zh: 节电, en: Saving}
description: {zh: 节约用电, en: Use less power}
icon: plug
in_force: {from: 2020-01-01}
quantity:
  unit: kWh
  decimals: 3
  min: {2020-01-01: {value: 0, confidence: documented, references: [scheme]}}
  max: {2020-01-01: {value: 1000, confidence: documented, references: [scheme]}}
evidence:
  - {kind: meter, grade: A, what: Metered}
scenario: {baseline: as before, project: less, boundary: generation}
energy:
  method: factor_times_quantity
  grams_per_unit:
    2020-01-01: {value: 1/3, confidence: documented, references: [scheme]}
    2022-07-01: {value: 2/3, confidence: documented, references: [scheme]}
avoided:
  method: factor_times_quantity
  extent: {unit: kWh}
  factor: {factor: grid}
  uncertainty_pct: {2020-01-01: {value: 10, confidence: documented, references: [scheme]}}
caps:
  event_g:
    2021-01-01: {value: 100, confidence: documented, references: [scheme]}
    2023-01-01: {value: null, confidence: documented, references: [scheme]}
ball: {ripens: after}
examples:
  - {name: three, on: 2020-01-01, quantity: 3, energy_g: 1, avoided_mg: 1670400}
""",
    "species/shrub.yaml": """\
id: shrub
names: {zh: 灌木, en: shrub}
scientific: Frutex communis
kind: shrub
energy_g:
  2020-01-01: {value: 1000, confidence: documented, references: [scheme]}
  2024-01-01: {value: 1500, confidence: documented, references: [scheme]}
""",
    "programmes/hill.yaml": """\
id: hill
names: {zh: 山坡, en: Hill}
species: shrub
partner: simulator-ngo
region: CN-HE
site: {names: {zh: 山坡, en: Hill}, latitude: 40.5, longitude: -115.2, references: [scheme]}
open_on: 2020-01-01
seasons:
  - id: spring
    names: {zh: 春季, en: spring}
    order_by: 02-28
    opens: 03-10
    closes: 05-20
    confidence: documented
    references: [scheme]
  - id: winter
    names: {zh: 冬季, en: winter}
    order_by: 11-10
    opens: 12-01
    closes: 01-15
    confidence: documented
    references: [scheme]
granularity: pooled
currency: CNY
unit_price_minor: {2020-01-01: {value: 738, confidence: documented, references: [scheme]}}
order_min_trees: {2020-01-01: {value: 20, confidence: documented, references: [scheme]}}
wait_max_d: {2020-01-01: {value: 30, confidence: documented, references: [scheme]}}
""",
}
SAVING = "behaviours/energy-efficiency/saving.yaml"


@dataclass(slots=True)
class Pack:
    """A rulebook folder that a test may bend."""

    folder: Path

    def edit(self, name: str, old: str, new: str) -> Pack:
        """Replace a text that must occur in the file exactly once."""
        file = self.folder / name
        text = file.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times in {name}"
        file.write_text(text.replace(old, new), encoding="utf-8")
        return self

    def add(self, name: str, text: str) -> Pack:
        """Write a file."""
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return self

    def load(self) -> RuleBook:
        """The rulebook; raises as the engine does."""
        return load_rulebook(self.folder)

    def check(self) -> Report:
        """What `rules check` says."""
        return check_rulebook(self.folder)

    def problems(self) -> list[str]:
        """All problems as they are printed."""
        return [str(problem) for problem in self.check().problems]


def write_pack(folder: Path) -> Pack:
    """The small rulebook, whole and sound."""
    pack = Pack(folder)
    for name, text in FILES.items():
        pack.add(name, text)
    return pack


def read_mistakes(name: str = "mistakes.yaml") -> dict[str, dict[str, str]]:
    """A table of mistakes, read as the engine reads YAML."""
    file = Path(__file__).with_name(name)
    document, problems = parse_document(file.read_bytes(), file.name)
    assert document is not None, problems
    assert isinstance(document.tree, dict)
    return document.tree
