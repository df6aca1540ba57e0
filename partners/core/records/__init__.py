"""What stands before an order: who a partner is, what was agreed, where, which species, how many. Pure."""
