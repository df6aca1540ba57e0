"""Load tests and benchmarks: how fast the engine is, beside a plain echo on the same machine in the same run.

Nothing here is imported by the engine, and nothing here decides anything: it only asks, counts and prints.
"""
