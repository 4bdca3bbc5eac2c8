"""What delivery costs, against the least it could cost: see ``docs/performance.md``."""
