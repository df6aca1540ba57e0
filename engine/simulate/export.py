"""Tables as files: CSV and Parquet, one file a table. Parquet needs the extra `charts`."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from engine.simulate.tables import Cell, Table


class ExtraMissing(Exception):
    """A library of the extra `charts` is not installed; the text says how to install it."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} needs the extra `charts`; run: pip install 'saxaul[charts]'")


def write_csv(tables: Sequence[Table], folder: Path) -> list[Path]:
    """One CSV file a table, UTF-8; the folder is made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for table in tables:
        path = folder / f"{table.id}.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(table.columns)
            writer.writerows(table.rows)
        paths.append(path)
    return paths


def write_parquet(tables: Sequence[Table], folder: Path) -> list[Path]:
    """One Parquet file a table. A column that holds both numbers and words is written as text. Raises ExtraMissing."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as problem:
        raise ExtraMissing("Parquet") from problem
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for table in tables:
        cells = list(zip(*table.rows, strict=True)) if table.rows else [() for _ in table.columns]
        columns = {name: _one_kind(column) for name, column in zip(table.columns, cells, strict=True)}
        path = folder / f"{table.id}.parquet"
        pq.write_table(pa.table(columns), path)
        paths.append(path)
    return paths


def _one_kind(cells: Sequence[Cell]) -> list[Cell]:
    """The column with one type for all its cells: as they are, as floats, or as text."""
    kinds = {type(cell) for cell in cells if cell is not None}
    if len(kinds) <= 1:
        return list(cells)
    if kinds == {int, float}:
        return [None if cell is None else float(cell) for cell in cells]
    return [None if cell is None else str(cell) for cell in cells]
