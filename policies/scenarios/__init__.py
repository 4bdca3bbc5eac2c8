"""Scenario files (``*.scenarios.toml``): what a policy is expected to decide, at instants that the file states.

A file is parsed and checked as a whole (``parse``), then run (``run``), then reported (``report``, ``junit``). No clock
is read: a scenario states its own.
"""
