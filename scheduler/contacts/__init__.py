"""Contacts: people as one page knows them, and the evidence of where they are."""
