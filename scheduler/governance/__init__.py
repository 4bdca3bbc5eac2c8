"""Governance: policy versions, which page has which, and kill switches."""
