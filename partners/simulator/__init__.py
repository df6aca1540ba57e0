"""A simulated NGO: its own process, port and database. It shares no state with the engine, only the wire.

From the engine's packages it uses the signature scheme and nothing that decides.
"""
