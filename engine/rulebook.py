"""Reads and checks `game_rules/`, and returns a frozen RuleBook with its hash.

All problems of all files are collected and told at once, each with file, line, path, what was expected and
a fix. The hash is over content, not formatting: comments, order of keys, quoting and the writing of a
number (5.0 or 5) do not change it.
"""

from __future__ import annotations

import importlib.resources
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from engine.core.factors import Factor
from engine.core.rules import CATEGORIES, Behaviour, GameRules, RuleBook
from engine.core.values import CONFIDENCES
from engine.rulefiles import behaviour_checks, building, checks, staleness
from engine.rulefiles import models as m
from engine.rulefiles.building_formulas import factors_named
from engine.rulefiles.examples import run_example
from engine.rulefiles.factor_checks import check_factor
from engine.rulefiles.hashing import content_hash
from engine.rulefiles.published import PublishedFile, check_published
from engine.rulefiles.reading import Document, Problem, path_text, read_document
from engine.rulefiles.wording import findings_of

FILES_MAX = 2_000
PROBLEMS_PER_FILE_MAX = 100
FOLDERS: dict[str, type[BaseModel]] = {
    "factors": m.FactorFile,
    "behaviours": m.BehaviourFile,
    "species": m.SpeciesFile,
    "programmes": m.ProgrammeFile,
}
PLACES = (
    "game.yaml, references.yaml, behaviours/<category>/<id>.yaml, factors/<id>.yaml, "
    "species/<id>.yaml, programmes/<id>.yaml, published.yaml"
)
SINGLE: dict[str, type[BaseModel]] = {"game.yaml": m.GameFile, "references.yaml": m.ReferencesFile}
OPTIONAL: dict[str, type[BaseModel]] = {"published.yaml": PublishedFile}  # decides nothing, may be left out
Model = TypeVar("Model", bound=BaseModel)


class RulebookError(Exception):
    """The rulebook is not fit for use; `problems` holds everything that is wrong with it."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(set(problems))
        count = len(self.problems)
        super().__init__(
            "\n".join(
                [f"{count} problem{'s' if count != 1 else ''} in the rulebook:", *map(str, self.problems)]
            )
        )


@dataclass(frozen=True, slots=True)
class Files:
    """A rulebook with the files that it was built from, by their names in its folder."""

    book: RuleBook
    models: Mapping[str, BaseModel]


@dataclass(frozen=True, slots=True)
class Report:
    """What `saxaul rules check` prints. `values` counts numbers by how sure they are; `built` is what can be used.

    `confirmed`: how many references somebody has looked up at the source itself.
    """

    hash: str | None
    problems: tuple[Problem, ...]
    warnings: tuple[str, ...]
    files: int
    behaviours: int
    factors: int
    species: int
    programmes: int
    references: int
    confirmed: int
    values: Mapping[str, int]
    examples: int
    built: Files | None = None

    @property
    def ok(self) -> bool:
        """Whether the rulebook can be used."""
        return not self.problems


def load_rulebook(path: Path | None = None) -> RuleBook:
    """The rulebook in a folder (the shipped one, when none is named).

    Raises RulebookError with all problems.
    """
    return load_files(path).book


def load_files(path: Path | None = None) -> Files:
    """The rulebook in a folder with what only its files hold, such as examples. Raises RulebookError."""
    reading = _Reading(path or shipped_rules())
    book = reading.read()
    if book is None or reading.problems:
        raise RulebookError(reading.problems)
    return Files(book, reading.models)


def check_rulebook(path: Path | None = None, today: date | None = None) -> Report:
    """Everything about a rulebook that a product team wants to know before it is used.

    What nobody has confirmed for a year before `today` is a warning; without a day, nothing is too old. Never raises
    for what is in the files.
    """
    reading = _Reading(path or shipped_rules())
    book = reading.read()
    problems = tuple(sorted(set(reading.problems)))
    counts = {
        folder: sum(1 for file in reading.documents if file.startswith(f"{folder}/")) for folder in FOLDERS
    }
    references = reading.single(m.ReferencesFile)
    return Report(
        hash=book.hash if book and not problems else None,
        problems=problems,
        warnings=(*reading.warnings(), *(reading.stale(today) if today else ())),
        files=len(reading.documents),
        references=len(references.references) if references else 0,
        confirmed=staleness.confirmed(references) if references else 0,
        values=_confidence(file for name, file in reading.models.items() if name not in OPTIONAL),
        examples=reading.examples,
        built=Files(book, reading.models) if book and not problems else None,
        **counts,
    )


def shipped_rules() -> Path:
    """The `game_rules` folder that came with this engine: beside the package, also in a wheel."""
    beside = Path(__file__).resolve().parent.parent / "game_rules"
    if (beside / "game.yaml").is_file():
        return beside
    for place in importlib.resources.files("game_rules").iterdir():
        if place.name == "game.yaml" and isinstance(place, Path):
            return place.parent
    raise RulebookError(
        [
            Problem(
                "game_rules",
                1,
                "",
                "no game.yaml",
                "the rule files",
                "install the package with its game_rules folder",
            )
        ]
    )


# --- reading ----------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Reading:
    """One pass over a folder: documents, the models that could be made of them, and all problems met."""

    root: Path
    problems: list[Problem] = field(default_factory=list)
    documents: dict[str, Document | None] = field(default_factory=dict)
    models: dict[str, BaseModel] = field(default_factory=dict)
    told_of: Counter[str] = field(default_factory=Counter)
    examples: int = 0

    def read(self) -> RuleBook | None:
        """The rulebook; None (with problems) when no part of it can be trusted."""
        for name in self._files():
            document, problems = read_document(self.root / name, name)
            self._told(name, problems)
            self.documents[name] = document
            if document is not None:
                self._validate(name, document)
        self._check_files()
        return self._build()

    def _files(self) -> list[str]:
        if not self.root.is_dir():
            self._problem(
                str(self.root),
                "no such folder",
                "the folder of the rules",
                "name the folder that holds game.yaml",
            )
            return []
        found = sorted(
            path.relative_to(self.root).as_posix() for path in self.root.rglob("*") if path.is_file()
        )
        found = [name for name in found if not _ignored(name)]
        if len(found) > FILES_MAX:
            self._problem(
                ".", f"{len(found):,} files", f"at most {FILES_MAX:,}", "remove what is not a rule file"
            )
        wanted = [name for name in found[:FILES_MAX] if self._expected(name)]
        for name in SINGLE:
            if name not in wanted:
                self._problem(name, "no such file", "this file in every rulebook", f"write {name}")
        return wanted

    def _expected(self, name: str) -> bool:
        if model_for(name) is None:
            self._problem(name, "a file that is not part of a rulebook", PLACES, "move, rename or remove it")
            return False
        return True

    def _validate(self, name: str, document: Document) -> None:
        model = model_for(name)
        assert model is not None
        try:
            self.models[name] = model.model_validate(document.tree)
        except ValidationError as error:
            self._findings(name, findings_of(error, model, document))

    def _findings(self, name: str, findings: Iterable[checks.Finding]) -> bool:
        document = self.documents.get(name) or Document(name, None)
        return self._told(name, (_problem_at(document, finding) for finding in findings))

    def _told(self, name: str, problems: Iterable[Problem]) -> bool:
        """Keep the problems of a file, up to a limit; whether there were any."""
        told = False
        for problem in problems:
            told = True
            self.told_of[name] += 1
            if self.told_of[name] == PROBLEMS_PER_FILE_MAX + 1:
                self._problem(name, "more problems than are told", "a file with few", "mend these first")
            if self.told_of[name] > PROBLEMS_PER_FILE_MAX:
                break
            self.problems.append(problem)
        return told

    def _problem(self, name: str, found: str, expected: str, fix: str) -> None:
        self.problems.append(Problem(name, 1, "", found, expected, fix))

    # --- what the files say together

    def single(self, model: type[Model]) -> Model | None:
        """The model of a file that there is once."""
        return next((found for found in self.models.values() if isinstance(found, model)), None)

    def many(self, folder: str, model: type[Model]) -> dict[str, Model]:
        """The models of a folder by file name without ending."""
        inside = {name: found for name, found in self.models.items() if name.startswith(f"{folder}/")}
        return {_stem(name): found for name, found in inside.items() if isinstance(found, model)}

    def _ids(self, folder: str) -> set[str]:
        """The ids of a folder by its file names, so that a broken file does not make others look broken."""
        return {_stem(name) for name in self.documents if name.startswith(f"{folder}/")}

    def _check_files(self) -> None:
        cited = self.single(m.ReferencesFile)
        references = cited.references if cited else None
        for name, file in self.models.items():
            own = file.references if isinstance(file, PublishedFile) else {}
            known = references if references is None else {**references, **own}
            self._findings(name, checks.check_citations(file, known))
            self._findings(name, checks.check_numbers(file))
            if name not in SINGLE and name not in OPTIONAL:
                self._findings(name, checks.check_id(file, _stem(name)))
            self._findings(name, self._check_kind(name, file))
        self._check_unique()

    def _check_kind(self, name: str, file: BaseModel) -> Iterator[checks.Finding]:
        factors, known = self.many("factors", m.FactorFile), self._ids("factors")
        game = self.single(m.GameFile)
        if isinstance(file, m.ReferencesFile):
            yield from checks.check_reference_file(file)
        elif isinstance(file, m.FactorFile):
            yield from check_factor(file, factors, known)
        elif isinstance(file, m.BehaviourFile):
            yield from behaviour_checks.check_behaviour(file, name.split("/")[1], factors, known)
            yield from behaviour_checks.check_family(file, self.many("behaviours", m.BehaviourFile))
            if game is not None:
                yield from behaviour_checks.check_own_shares(file, game)
        elif isinstance(file, m.GameFile):
            yield from checks.check_game(file)
        elif isinstance(file, m.ProgrammeFile):
            yield from checks.check_programme(file, dict.fromkeys(self._ids("species")))
        elif isinstance(file, PublishedFile):
            cited = self.single(m.ReferencesFile)
            yield from check_published(file, set(cited.references) if cited else set())

    def _check_unique(self) -> None:
        seen: dict[str, str] = {}
        for name in self.documents:
            if name.startswith("behaviours/"):
                first = seen.setdefault(_stem(name), name)
                if first != name:
                    self._problem(
                        name,
                        f"the behaviour {_stem(name)!r} again (first in {first})",
                        "each behaviour once",
                        "remove one of the files",
                    )

    # --- from files to the rulebook

    def _build(self) -> RuleBook | None:
        """What can be built of the sound files; their examples run, so that all failures are told at once."""
        broken = {problem.file for problem in self.problems}
        game_file, cited = self.single(m.GameFile), self.single(m.ReferencesFile)
        if game_file is None or cited is None or "game.yaml" in broken:
            return None
        sound = {name: file for name, file in self.models.items() if name not in broken}
        game = building.game(game_file)
        factors = _complete(
            {file.id: building.factor(file) for file in sound.values() if isinstance(file, m.FactorFile)}
        )
        species = {
            file.id: building.species(file) for file in sound.values() if isinstance(file, m.SpeciesFile)
        }
        programmes = [
            file for file in sound.values() if isinstance(file, m.ProgrammeFile) and file.species in species
        ]
        book = RuleBook(
            hash=content_hash(self.models),
            game=game,
            behaviours=self._behaviours(sound, game, factors),
            species=species,
            programmes={file.id: building.programme(file, species[file.species]) for file in programmes},
            factors=factors,
            references=building.references(cited),
            regions=building.regions(factors.values()),
        )
        self._check_species_days(book)
        self._run_examples(book)
        return book

    def _behaviours(
        self, sound: Mapping[str, BaseModel], game: GameRules, factors: Mapping[str, Factor]
    ) -> dict[str, Behaviour]:
        behaviours: dict[str, Behaviour] = {}
        for name, file in sound.items():
            if not isinstance(file, m.BehaviourFile) or self._starts_early(name, file, game):
                continue
            used = building.factors_used(file, factors)
            wanted = factors_named(file.avoided)
            if not wanted <= set(used) or self._findings(name, _uncovered(file, used, factors)):
                continue
            behaviours[file.id] = building.behaviour(file, game, factors)
        return behaviours

    def _starts_early(self, name: str, file: m.BehaviourFile, game: GameRules) -> bool:
        first = game.history.days[0]
        if file.in_force.from_ >= first:
            return False
        found = f"{file.in_force.from_}, before the game's settings begin on {first}"
        return self._findings(
            name,
            [
                checks.Finding(
                    ("in_force", "from"), found, f"{first} or later", "begin later, or date game.yaml earlier"
                )
            ],
        )

    def _check_species_days(self, book: RuleBook) -> None:
        for name, file in self.models.items():
            if (
                isinstance(file, m.ProgrammeFile)
                and file.id in book.programmes
                and book.programmes[file.id].energy_g(file.open_on) is None
            ):
                finding = checks.Finding(
                    ("open_on",),
                    str(file.open_on),
                    f"a day on which {file.species} has a price in energy",
                    "open later",
                )
                self._findings(name, [finding])

    def _run_examples(self, book: RuleBook) -> None:
        for name, file in self.models.items():
            if isinstance(file, m.BehaviourFile) and file.id in book.behaviours:
                for index, example in enumerate(file.examples):
                    self.examples += 1
                    self._findings(name, run_example(book, file, index, example))

    def stale(self, today: date) -> Iterator[str]:
        """What nobody has confirmed for a year before the day."""
        for name, file in self.models.items():
            document = self.documents[name]
            if isinstance(file, m.ReferencesFile | PublishedFile) and document is not None:
                for finding in staleness.stale(file, self.models.values(), today):
                    yield str(_problem_at(document, finding))

    def warnings(self) -> Iterator[str]:
        """What is not wrong, but looks forgotten."""
        cited: set[str] = set()
        for file in self.models.values():
            for _, model in checks.walk(file):
                cited.update(model.references if isinstance(model, m.Sourced) else ())
        references = self.single(m.ReferencesFile)
        for name in sorted(set(references.references if references else ()) - cited):
            yield f"references.yaml: {name} is used by no value"
        used: set[str] = set()
        for file in self.models.values():
            used |= factors_named(file.avoided) if isinstance(file, m.BehaviourFile) else set()
            used |= {part.factor for part in file.made_of or []} if isinstance(file, m.FactorFile) else set()
        for name in sorted(self._ids("factors") - used):
            yield f"factors/{name}.yaml: used by no behaviour"


def model_for(name: str) -> type[BaseModel] | None:
    """The model that a file of this name must fit; None when it has no place in a rulebook."""
    if name in SINGLE or name in OPTIONAL:
        return (SINGLE | OPTIONAL)[name]
    folder, *rest = name.split("/")
    depth = 2 if folder == "behaviours" else 1
    if folder not in FOLDERS or len(rest) != depth or not name.endswith(".yaml"):
        return None
    return FOLDERS[folder] if folder != "behaviours" or rest[0] in CATEGORIES else None


def _problem_at(document: Document, finding: checks.Finding) -> Problem:
    where = document.line_of(finding.path), path_text(finding.path)
    return Problem(document.file, *where, finding.found, finding.expected, finding.fix)


def _ignored(name: str) -> bool:
    parts = name.split("/")
    return any(part.startswith((".", "__")) for part in parts) or name.endswith((".md", ".py"))


def _stem(name: str) -> str:
    return name.rsplit("/", 1)[-1].removesuffix(".yaml")


def _complete(factors: dict[str, Factor]) -> dict[str, Factor]:
    """The factors whose parts are all there, down to figures."""
    complete = dict(factors)
    while True:
        lacking = [
            name
            for name, factor in complete.items()
            if any(part.factor not in complete for part in factor.parts)
        ]
        if not lacking:
            return complete
        for name in lacking:
            del complete[name]


def _uncovered(
    file: m.BehaviourFile, used: Iterable[str], factors: Mapping[str, Factor]
) -> Iterator[checks.Finding]:
    """Factors without a figure that everybody can fall back to on the behaviour's first day."""
    first = file.in_force.from_
    for name in used:
        factor = factors[name]
        covered = (
            all(part.amount.on(first) for part in factor.parts) if factor.parts else factor.find(first, None)
        )
        if not covered:
            fix = (
                f"date a figure of {name} on {first} or earlier, in a region of its fallback, or begin later"
            )
            yield checks.Finding(
                ("avoided",),
                f"{name} has no figure to fall back to on {first}",
                "figures from the first day on",
                fix,
            )


# --- counting and hashing ---------------------------------------------------------------------------


def _confidence(models: Iterable[BaseModel]) -> dict[str, int]:
    counts: dict[str, int] = dict.fromkeys(CONFIDENCES, 0)
    for file in models:
        for model in checks.cited_in(file):
            counts[model.confidence] += 1
    return counts
