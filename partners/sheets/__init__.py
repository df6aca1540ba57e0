"""Spreadsheets for partners without developers: order sheets out, planting and survival reports in. Pure:
bytes in, bytes out."""
