"""Shows what a simulation or a report came to: tables in the terminal or as JSON, and the files that were asked for."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.cli.shared import Exit, Failure, note, say, say_json
from engine.cli.tables import table

if TYPE_CHECKING:
    from engine.simulate.comparing import Difference
    from engine.simulate.figures import Figures
    from engine.simulate.tables import Table

SHOWN_ROWS_MAX = 40
BESIDE_MAX = 3  # runs whose columns fit beside each other
WORDS = (
    "run",
    "measure",
    "behaviour",
    "name_zh",
    "species",
    "programme",
    "place",
    "month",
    "command",
    "code",
)
WHOLE_FROM = 1000  # from here on the terminal shows no decimals


def check_targets(csv_folder: Path | None, parquet_folder: Path | None, html_file: Path | None) -> None:
    """Say before the work, not after it, that a result could not be written."""
    from importlib.util import find_spec

    from engine.simulate.export import ExtraMissing

    for folder in (csv_folder, parquet_folder):
        if folder is not None and folder.exists() and not folder.is_dir():
            raise Failure(f"{folder} is a file; name a folder", Exit.USAGE)
    if html_file is not None and (html_file.is_dir() or not html_file.resolve().parent.is_dir()):
        raise Failure(f"{html_file} can't be written; name a file in a folder that is there", Exit.USAGE)
    if parquet_folder is not None and find_spec("pyarrow") is None:
        raise ExtraMissing("Parquet")
    if html_file is not None and find_spec("plotly") is None:
        raise ExtraMissing("The report page")


def give(
    runs: Sequence["Figures"],
    about: Sequence[str],
    found: Sequence["Difference"],
    csv_folder: Path | None,
    parquet_folder: Path | None,
    html_file: Path | None,
    as_json: bool,
    title: str = "Saxaul: what the rules do 规则模拟",
) -> None:
    """Tables to the terminal or as JSON, and to the files that were asked for."""
    from engine.simulate.export import write_csv, write_parquet
    from engine.simulate.page import page_of
    from engine.simulate.tables import behaviours_beside
    from engine.simulate.trials import all_tables, document

    tables = all_tables(runs, found)
    if csv_folder is not None:
        write_csv(tables, csv_folder)
    if parquet_folder is not None:
        write_parquet(tables, parquet_folder)
    if html_file is not None:
        html_file.write_text(page_of(title, about, runs, found), encoding="utf-8")
    if as_json:
        say_json(document(runs, about, found))
        return
    if 1 < len(runs) <= BESIDE_MAX:
        tables = [behaviours_beside(runs) if table.id == "behaviours" else table for table in tables]
    _show(about, tables, [figures.label for figures in runs])
    for target in (csv_folder, parquet_folder, html_file):
        if target is not None:
            note(f"written: {target}")


def _show(about: Sequence[str], tables: Sequence["Table"], labels: Sequence[str]) -> None:
    for line in about:
        say(line)
    for shown in tables:
        if shown.id == "days" or not shown.rows:
            continue
        wanted = [name for name in shown.brief or shown.columns if len(labels) > 1 or name != "run"]
        places = [shown.columns.index(name) for name in wanted]
        rows = [[_cell(row[place], shown.id) for place in places] for row in shown.rows[:SHOWN_ROWS_MAX]]
        words = [place for place, name in enumerate(wanted) if name not in WORDS]
        say(f"\n{shown.title} {shown.title_zh}")
        for line in table([[_head(name, labels) for name in wanted], *rows], right=words):
            say(line)
        if len(shown.rows) > SHOWN_ROWS_MAX:
            say(f"  … {len(shown.rows) - SHOWN_ROWS_MAX} more rows; --csv has all")
    say("\nEnergy by day: --csv, --parquet, --html or --json.")


def _head(name: str, labels: Sequence[str]) -> str:
    """A column's name for people: of a difference the two sides by their own names."""
    sides = dict(zip(("a", "b"), labels, strict=False)) | {"half_width_95": "± 95 %"}
    return sides.get(name, name.replace("_", " "))


def _cell(cell: Any, table: str) -> str:
    if cell is None:
        return "not yet" if table in ("summary", "first_tree", "fairness") else ""
    if isinstance(cell, float) and abs(cell) >= WHOLE_FROM:
        return f"{cell:,.0f}"
    return f"{cell:,}" if isinstance(cell, int | float) else str(cell)
