"""The HTTP edge: reads requests strictly, submits commands, answers. Decides nothing of the game."""
