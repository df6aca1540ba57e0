"""A year of a planting programme in virtual time: the real core and writer, partners made of dice, books audited.

It is an exercise on a database of its own. Nothing here runs while the engine serves.
"""
