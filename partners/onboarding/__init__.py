"""How records come in: from a file that an operator writes, and for the simulated NGO from the rulebook."""
