"""Saxaul: an open engine for gamified tree planting."""
