"""Tests of the rulebook: reading, checking, working out."""
