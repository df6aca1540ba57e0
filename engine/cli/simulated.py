"""Shows what a simulation or a report came to: tables in the terminal or as JSON, and the files that were asked for."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.cli.shared import Exit, Failure, note, say_json

if TYPE_CHECKING:
    from engine.simulate.comparing import Difference
    from engine.simulate.figures import Figures
    from engine.simulate.tables import Table

SHOWN_ROWS_MAX = 40
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
) -> None:
    """Tables to the terminal or as JSON, and to the files that were asked for."""
    from engine.simulate.export import write_csv, write_parquet
    from engine.simulate.page import page_of
    from engine.simulate.trials import all_tables, document

    tables = all_tables(runs, found)
    if csv_folder is not None:
        write_csv(tables, csv_folder)
    if parquet_folder is not None:
        write_parquet(tables, parquet_folder)
    if html_file is not None:
        html_file.write_text(page_of("Saxaul: what the rules do", about, runs, found), encoding="utf-8")
    if as_json:
        say_json(document(runs, about, found))
        return
    _show(about, tables, len(runs) > 1)
    for target in (csv_folder, parquet_folder, html_file):
        if target is not None:
            note(f"written: {target}")


def _show(about: Sequence[str], tables: Sequence["Table"], many: bool) -> None:
    from rich.console import Console
    from rich.table import Table as Shown

    console = Console()
    for line in about:
        console.print(line, highlight=False, markup=False)
    for table in tables:
        if table.id == "days" or not table.rows:
            continue
        wanted = [name for name in table.brief or table.columns if many or name != "run"]
        places = [table.columns.index(name) for name in wanted]
        shown = Shown(title=f"{table.title} {table.title_zh}", title_justify="left", title_style="bold")
        for name in wanted:
            is_word = name in ("measure", "behaviour", "place", "month")
            shown.add_column(name.replace("_", " "), no_wrap=is_word, justify="left" if is_word else "right")
        for row in table.rows[:SHOWN_ROWS_MAX]:
            shown.add_row(*(_cell(row[place], table.id) for place in places))
        console.print(shown, markup=False)
        if len(table.rows) > SHOWN_ROWS_MAX:
            console.print(f"… {len(table.rows) - SHOWN_ROWS_MAX} more rows; --csv has all")
    console.print("Energy by day: --csv, --parquet, --html or --json.")


def _cell(cell: Any, table: str) -> str:
    if cell is None:
        return "not yet" if table in ("summary", "first_tree", "fairness") else ""
    if isinstance(cell, float) and abs(cell) >= WHOLE_FROM:
        return f"{cell:,.0f}"
    return f"{cell:,}" if isinstance(cell, int | float) else str(cell)
