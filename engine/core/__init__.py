"""What decides, and nothing else: no I/O, no clock, no dice, no async, standard library only."""
