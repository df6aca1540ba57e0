"""Rows and how they are read and written; knows nothing of what they mean."""
