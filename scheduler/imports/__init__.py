"""Contacts by the file: CSV in, validated whole in staging before anything changes, and CSV or JSON lines out."""
