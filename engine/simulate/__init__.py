"""The game in virtual time: populations run through the pure core, and the figures that come of it."""
