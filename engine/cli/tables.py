"""Tables of plain text for terminals and pipes: columns as wide as they must be, also with Chinese in them."""

from collections.abc import Iterator, Sequence

from rich.cells import cell_len

GAP = "  "


def table(rows: Sequence[Sequence[str]], right: Sequence[int] = (), indent: str = "  ") -> Iterator[str]:
    """Lines of a table; columns named in `right` stand to the right. The first row is the head."""
    if not rows:
        return
    widths = [max(cell_len(row[place]) for row in rows) for place in range(len(rows[0]))]
    for row in rows:
        cells = []
        for place, (cell, width) in enumerate(zip(row, widths, strict=True)):
            space = " " * (width - cell_len(cell))
            cells.append(space + cell if place in right else cell + space)
        yield (indent + GAP.join(cells)).rstrip()
