"""Rule files: reading, shapes, checks, and the way to the rulebook; used by `engine.rulebook` alone."""
