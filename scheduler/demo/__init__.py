"""The demo: a virtual day and a half of a shop's messaging, through the public interfaces only."""
