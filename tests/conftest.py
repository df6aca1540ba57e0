"""Fixtures that every test may use: real servers and real clients, started on demand and always ended."""
