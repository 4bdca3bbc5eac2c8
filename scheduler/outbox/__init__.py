"""Outbox: one row an intended message, its states, attempts and evidence."""
