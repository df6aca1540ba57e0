"""Commands of the product team's workbench: check, schema, explain, spread and diff of rulebooks."""

from collections.abc import Iterator
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli.rulebooks import IN_FORCE, laid_out
from engine.cli.shared import (
    DatabaseOption,
    Exit,
    Failure,
    JsonOption,
    failures,
    note,
    say,
    say_json,
    settings_with,
)
from engine.cli.tables import table

if TYPE_CHECKING:
    from decimal import Decimal

    from engine.rulebook import Files
    from engine.workbench.checking import Checked
    from engine.workbench.difference import Change, Comparison, Presence
    from engine.workbench.effects import Effect, Worth
    from engine.workbench.spread import Figure, Spread

FolderArgument = Annotated[
    Path | None,
    typer.Argument(help="The rulebook's folder; the one in use if not named.", show_default=False),
]
RulesOption = Annotated[
    Path | None, typer.Option("--rules", help="The rulebook's folder; the one in use if not named.")
]
OnOption = Annotated[
    str | None, typer.Option("--on", help="The day, such as 2026-12-01; today if not named.")
]


class Language(StrEnum):
    """Languages of an explanation."""

    EN = "en"
    ZH = "zh"


LanguageOption = Annotated[Language, typer.Option("--lang", help="In English or Chinese.")]


# --- check ------------------------------------------------------------------------------------------


def check(
    folder: FolderArgument = None,
    on: OnOption = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit code 1 for warnings too.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Read a rulebook and tell everything wrong with it: file, line, path, what was expected, the fix.

    Its examples are worked out, units multiplied out, references looked up. Warnings: what nothing uses, what nobody
    has confirmed for a year before the day. Exit code 1: the rulebook can't be used.
    """
    from engine.workbench.checking import check as check_folder

    with failures():
        checked = check_folder(_folder(folder), _day(on))
    if as_json:
        say_json(checked.document())
    else:
        _tell_check(checked)
    if not checked.ok or (strict and checked.warnings):
        raise typer.Exit(Exit.PROBLEMS)


def _tell_check(checked: "Checked") -> None:
    report = checked.report
    for problem in report.problems:
        say(str(problem))
    for warning in checked.warnings:
        note(f"note: {warning}")
    values = ", ".join(f"{count} {confidence}" for confidence, count in report.values.items())
    kinds = ("behaviours", "factors", "species", "programmes", "references", "examples")
    say(f"{report.files} files: " + ", ".join(f"{getattr(report, kind)} {kind}" for kind in kinds))
    say(f"values: {values}")
    say(
        f"sources: {report.confirmed} of {report.references} looked up at the source since they were written down"
    )
    if report.ok:
        say(f"rulebook {report.hash}")
    else:
        many = "problem" if len(report.problems) == 1 else "problems"
        say(f"{len(report.problems)} {many}; the rulebook can't be used")


# --- schema -----------------------------------------------------------------------------------------


def schema(
    kind: Annotated[
        str | None, typer.Argument(help="One kind of file to print, such as behaviour.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="A folder to write all schemas into, with settings for VS Code."),
    ] = None,
) -> None:
    """Print or write the JSON Schemas of rule files, so that an editor completes and checks them.

    Example: saxaul rules schema --out schemas
    """
    from engine.workbench import schemas

    known = schemas.kinds()
    with failures():
        if kind is not None and kind not in known:
            raise Failure(f"there is no kind {kind!r}; it is one of {', '.join(known)}", Exit.USAGE)
        if out is not None and out.exists() and not out.is_dir():
            raise Failure(f"{out} is no folder", Exit.USAGE)
        if out is None:
            wanted = [kind] if kind else list(known)
            say_json(schemas.json_schema(kind) if kind else {one: schemas.json_schema(one) for one in wanted})
            return
        for place in schemas.write(out):
            say(str(place))
    note(
        f"For VS Code: put what is in {out / schemas.WIRING} into .vscode/settings.json (docs/workbench.md)."
    )


# --- explain ----------------------------------------------------------------------------------------


def explain(
    behaviour: Annotated[str, typer.Argument(help="The behaviour's id, such as metro.")],
    quantity: Annotated[str, typer.Option("--quantity", help="How much, such as 1 or 12.5.")],
    unit: Annotated[
        str | None, typer.Option("--unit", help="Its unit; the behaviour's own if left out.")
    ] = None,
    on: OnOption = None,
    province: Annotated[
        str | None, typer.Option("--province", "--region", help="The user's province, such as CN-BJ.")
    ] = None,
    attribute: Annotated[
        list[str] | None, typer.Option("--attribute", help="A further field as name=value; may be repeated.")
    ] = None,
    lang: LanguageOption = Language.EN,
    rules: RulesOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell what an act would be worth and why, step by step: the same calculation and trace that each ball keeps.

    Exit code 1: the game would refuse the act; the code and what it expects are told.

    Example: saxaul rules explain metro --quantity 1 --province CN-BJ --attribute distance_km=7.5 --lang zh
    """
    from engine.core.errors import Rejected
    from engine.workbench.explaining import Act
    from engine.workbench.explaining import explain as work_out

    with failures():
        act = Act(behaviour, _number(quantity), _day(on), unit, province, _attributes(attribute or []))
        files = _files(_folder(rules))
        try:
            told = work_out(files.book, act, lang.value)
        except Rejected as refusal:
            if as_json:
                say_json({"refused": {"code": refusal.code, **refusal.fields}})
                raise typer.Exit(Exit.PROBLEMS) from refusal
            raise Failure(_refusal(refusal)) from refusal
    if as_json:
        say_json(told)
        return
    for line in told["steps"]:
        say(line)
    for line in _in_short(told, lang is Language.ZH):
        say(line)


def _in_short(told: dict[str, Any], is_chinese: bool) -> "Iterator[str]":
    """What the steps do not say: the bounds of the uncertainty, and what the caps leave."""
    from engine.workbench.told import label

    if told["between_mg"]:
        low, high = told["between_mg"]
        yield (
            f"减排量介于 {low:,} 与 {high:,} mg CO2e 之间。"
            if is_chinese
            else f"Avoided emissions between {low:,} and {high:,} mg CO2e by the stated uncertainty."
        )
    named = "zh" if is_chinese else "en"
    caps = [f"{label(f'caps.{name}', named)} {value['value']}" for name, value in told["caps"].items()]
    if caps:
        yield (
            f"上限：{'，'.join(caps)}；当天没有其他行为时入账 {told['booked_g']:,} g。"
            if is_chinese
            else f"Caps: {', '.join(caps)}; on an otherwise empty day {told['booked_g']:,} g are booked."
        )


def _number(text: str) -> "Decimal":
    from decimal import Decimal, InvalidOperation

    try:
        number = Decimal(text) if len(text) <= 40 else None
    except InvalidOperation:
        number = None
    if number is None or not number.is_finite() or abs(number.adjusted()) > 30:
        raise Failure(f"--quantity {text[:40]!r} is not a plain number such as 12.5", Exit.USAGE)
    return number


def _attributes(written: list[str]) -> dict[str, object]:
    found: dict[str, object] = {}
    for one in written:
        name, equals, value = one.partition("=")
        if not equals or not name:
            raise Failure(f"--attribute {one!r} is not name=value, such as distance_km=7.5", Exit.USAGE)
        found[name] = value
    return found


def _refusal(refusal: Any) -> str:
    near = refusal.fields.get("near")
    return f"{refusal}" if not near else f"{refusal.code}: did you mean {', '.join(near)}?"


# --- spread -----------------------------------------------------------------------------------------


def spread(
    behaviour: Annotated[
        str | None, typer.Argument(help="One behaviour; all if not named.", show_default=False)
    ] = None,
    on: OnOption = None,
    lang: LanguageOption = Language.EN,
    rules: RulesOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what published schemes credit for the same act, beside what this rulebook does, with ratios.

    Figures are grams for one unit of the act. The ratio is the largest over the smallest of the figures that are for
    that unit; those in brackets are for something else and stay out of it.
    """
    from engine.core.errors import Rejected
    from engine.workbench import spread as spreading

    with failures():
        files, day = _files(_folder(rules)), _day(on)
        try:
            found = list(spreading.spreads(files, day, behaviour))
        except Rejected as refusal:
            raise Failure(_refusal(refusal), Exit.USAGE) from refusal
        if not found:
            raise Failure("no published figures: " + (behaviour or "the rulebook has no published.yaml"))
    if as_json:
        say_json({"on": day.isoformat(), "acts": [spreading.document(one) for one in found]})
        return
    for one in found:
        _tell_spread(one, lang.value)


def _tell_spread(one: "Spread", language: str) -> None:
    from engine.workbench.spread import shown

    ours = one.ours
    say(f"{one.names[language]} ({one.act}), g per {one.unit}")
    rows = [("scheme", "g", "× ours", "counts", "condition", "sure", "source")]
    rows += [_figure_row(figure, ours) for figure in one.figures]
    rows.append(
        (f"ours: {ours.behaviour}", shown(ours.avoided_g) or "-", "", "avoided", ours.refused, "", "")
    )
    rows.append((f"ours: {ours.behaviour}", shown(ours.energy_g) or "-", "", "energy", "", "", ""))
    for line in table(rows, right=(1, 2)):
        say(line)
    say(f"  largest / smallest: {shown(one.ratio())}; with ours: {shown(one.ratio_with_ours())}")
    say()


def _figure_row(figure: "Figure", ours: Any) -> tuple[str, ...]:
    from engine.workbench.spread import of_ours, shown

    grams = shown(figure.grams) or "-"
    sources = ", ".join(f"{one.id} {one.date}" for one in figure.references)
    shown_grams = grams if figure.is_comparable else f"({grams})"
    times = shown(of_ours(figure, ours)) or ""
    return figure.scheme, shown_grams, times, figure.counts, figure.condition, figure.confidence, sources


# --- diff -------------------------------------------------------------------------------------------


def diff(
    before: Annotated[str, typer.Argument(help=f"The rulebook as it is: a folder, a hash, or {IN_FORCE}.")],
    after: Annotated[str, typer.Argument(help="The rulebook as it would be: likewise.")],
    on: OnOption = None,
    database: DatabaseOption = None,
    lang: LanguageOption = Language.EN,
    as_json: JsonOption = False,
) -> None:
    """Tell what changes between two rulebooks, in the terms of the game: what, from which day, by how much.

    Typical acts are the examples of the behaviours' files, worked out under both. What changes on a day that is past
    was edited in place, which is said first. Exit code 1: something was edited in place. Published rulebooks are
    named by the first digits of their hash (`saxaul rules history`).

    Example: saxaul rules diff in-force trial
    """
    from engine.workbench.told import difference, document

    with failures():
        comparison, found = difference(_rulebook(before, database), _rulebook(after, database), _day(on))
    if as_json:
        say_json(document(comparison, found))
    else:
        _tell_difference(comparison, found, lang.value)
    if comparison.is_backdated:
        raise typer.Exit(Exit.PROBLEMS)


def _tell_difference(comparison: "Comparison", found: "list[Effect]", language: str) -> None:
    say(f"{comparison.before_hash[:12]} → {comparison.after_hash[:12]}, as of {comparison.today}")
    if comparison.before_hash == comparison.after_hash:
        say("Nothing that decides anything is different.")
        return
    _tell_backdated(comparison)
    for word, presences in (("added", comparison.added), ("removed", comparison.removed)):
        for one in presences:
            say(f"{word}: {_named(one, language)}")
    changes = [change for change in comparison.changes if change.kind == "value"]
    if changes:
        say("\nWhat changes")
        rows = [("what", "value", "from", "until", "before", "after", "%", "")]
        rows += [_change_row(comparison, change, language) for change in changes]
        for line in table(rows, right=(6,)):
            say(line)
    if found:
        say("\nWhat it means for a typical act (after the gram caps of an otherwise empty day)")
        rows = [("behaviour", "act", "from", "energy g", "%", "avoided mg", "%", "most in 30 days, g")]
        rows += [_effect_row(comparison, effect, language) for effect in found]
        for line in table(rows, right=(4, 6)):
            say(line)
    for kind, words in (("source", "values rest on other sources"), ("wording", "texts are worded anew")):
        count = sum(1 for change in comparison.changes if change.kind == kind)
        if count:
            say(f"\n{count:,} {words}; --json lists them.")


def _tell_backdated(comparison: "Comparison") -> None:
    if not comparison.is_backdated:
        return
    say(
        "\n!!! EDITED IN PLACE: these values count on days that are past. Balls keep what they were made with, but"
    )
    say("!!! late reports of those days, and whoever audits them, would get another result.")
    for change in comparison.in_place:
        was, now = _shown(change.before), _shown(change.after)
        say(f"!!! {change.thing} {change.id}: {change.path} from {change.from_on}: {was} → {now}")
        back = "leave it out there" if change.before is None else f"put {was} back"
        say(f"!!!   Fix: {back}, and add a value dated {comparison.today} or later.")
    for word, presences in (("added", comparison.added), ("removed", comparison.removed)):
        for one in presences:
            if one.in_place:
                say(f"!!! {word}: {one.thing} {one.id}, in force since {one.since}")


def _named(one: "Presence", language: str) -> str:
    name = one.names.get(language)
    since = f", from {one.since}" if one.since else ""
    return f"{one.thing} {one.id}" + (f" ({name})" if name else "") + since


def _shown(leaf: Any) -> str:
    return "nothing" if leaf is None else leaf.shown()


def _change_row(comparison: "Comparison", change: "Change", language: str) -> tuple[str, ...]:
    from engine.workbench.leaves import day_before
    from engine.workbench.told import KINDS_ZH, label, percent

    kind = KINDS_ZH.get(change.thing, change.thing) if language == "zh" else change.thing
    name = comparison.name(change.thing, change.id, language) if language == "zh" else change.id
    what = kind if change.thing == change.id else f"{kind} {name}"
    until = str(day_before(change.until_on)) if change.until_on else ""
    follows = f"and {change.followed_by} behaviours that take it" if change.followed_by else ""
    mark = "EDITED IN PLACE" if change.in_place else follows
    value, pct = label(change.path, language), percent(change.change_pct) or ""
    return what, value, str(change.from_on), until, _shown(change.before), _shown(change.after), pct, mark


def _effect_row(comparison: "Comparison", effect: "Effect", language: str) -> tuple[str, ...]:
    from engine.workbench.told import percent, relative

    act, one, other = effect.act, effect.before, effect.after
    where = f" in {act.province}" if act.province else ""
    told = f"{act.name}: {act.quantity:f} {act.unit}{where}"
    energy = _pair(one, other, "booked_g")
    avoided = _pair(one, other, "avoided_mg")
    energy_pct = percent(relative(one.booked_g, other.booked_g)) or ""
    avoided_pct = percent(relative(one.avoided_mg, other.avoided_mg)) or ""
    most = _pair(one, other, "month_most_g")
    name = comparison.name("behaviour", effect.behaviour, language) if language == "zh" else effect.behaviour
    return name, told, str(effect.on), energy, energy_pct, avoided, avoided_pct, most


def _pair(one: "Worth", other: "Worth", name: str) -> str:
    cells = []
    for worth in (one, other):
        value = getattr(worth, name)
        cells.append(worth.refused or ("no cap" if value is None else f"{value:,}"))
    return cells[0] if cells[0] == cells[1] else " → ".join(cells)


# --- shared -----------------------------------------------------------------------------------------


def _folder(folder: Path | None) -> Path | None:
    """The folder that is named, else that of the settings. Raises Failure."""
    return settings_with().game_rules if folder is None else _needed(folder)


def _needed(folder: Path) -> Path:
    if not folder.is_dir():
        raise Failure(f"there is no folder {folder}", Exit.USAGE)
    return folder


def _rulebook(name: str, database: str | None) -> "Files":
    """The rulebook that a name stands for. Raises Failure."""
    with laid_out(name, database) as folder:
        return _files(folder)


def _files(folder: Path | None) -> "Files":
    from engine.rulebook import load_files

    return load_files(folder)


def _day(text: str | None) -> date:
    """The day that is named; today in UTC if none is."""
    from engine.clock import Clock
    from engine.core.units import local_day

    if text is None:
        return local_day(Clock().now_ms(), "UTC")
    try:
        if len(text) == 10:
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise Failure(f"--on {text[:40]!r} is not a day such as 2026-12-01", Exit.USAGE)
