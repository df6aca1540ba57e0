"""Planting partners: from a redeemed tree to a tree that a partner says it planted and an operator has
verified."""
