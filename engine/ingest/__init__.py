"""Files of activities become commands: reading that survives bad lines, demo accounts, batches, a summary."""
