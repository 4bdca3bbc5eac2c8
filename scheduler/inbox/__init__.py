"""Inbox: platform events, kept raw and applied in one transaction."""
