"""What partners decide, and nothing else: standard library only, no I/O, no clock, no dice, no users."""
