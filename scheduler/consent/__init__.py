"""Consent: what a person allowed or forbade, as an append-only ledger and its projection."""
