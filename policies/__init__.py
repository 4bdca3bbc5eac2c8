"""May a message go, and when? Facts in, decision out: no clock, no database, no log, no network."""
