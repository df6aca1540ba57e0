"""How much of a partner's file is taken, each figure with its unit. Checked before anything is unpacked or parsed."""

FILE_BYTES_MAX = 4 * 1024 * 1024
"""Of one spreadsheet. 5,000 rows of a planting report are 250 KB as XLSX and 0.6 MB as CSV."""

UNPACKED_BYTES_MAX = 8 * 1024 * 1024
"""Of all parts of an XLSX together; 5,000 rows are 3 MB. Marking the wrong rows costs some ten times that in memory."""

UNPACKED_RATIO_MAX = 200
"""Unpacked to packed bytes of one part over `RATIO_COUNTS_FROM_BYTES`; spreadsheets are at 10 to 60."""

RATIO_COUNTS_FROM_BYTES = 256 * 1024
ZIP_PARTS_MAX = 200
WORKSHEETS_MAX = 8
"""Worksheets in which the table is looked for."""

ROWS_MAX = 5_000
"""Filled rows below the header."""

COLUMNS_MAX = 64
HEADER_ROWS_MAX = 20
"""Rows from the top among which the header is looked for."""

SPREADSHEET_ROWS_MAX = 1_048_576
"""The last row that a spreadsheet can have; a file that names a later one is broken."""

MERGED_CELLS_MAX = 100_000
CELL_CHARACTERS_MAX = 1_000
NAMES_MAX = 50
"""File names in one cell."""

VALUE_SHOWN_CHARACTERS_MAX = 60
PROBLEMS_PER_ROW_MAX = 10
