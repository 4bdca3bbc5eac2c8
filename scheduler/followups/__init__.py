"""Follow-ups: recipes that turn a business event into messages."""
