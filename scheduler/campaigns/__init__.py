"""Campaigns: template, audience, schedule and limits, launched once."""
