"""The `saxaul` command. Each command turns failures into one line with the fix, and an exit code."""

from engine.cli.app import main

__all__ = ["main"]
