"""The adapter to the simulated NGO in `partners.simulator`; it knows that NGO's address and key, nothing
else."""
