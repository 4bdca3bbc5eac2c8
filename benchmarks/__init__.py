"""How fast the parts are that everything else waits for. Figures, not tests."""
