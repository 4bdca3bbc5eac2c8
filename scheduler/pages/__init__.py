"""Pages: the sending accounts, their tokens, limits and modes."""
