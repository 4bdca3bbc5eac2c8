"""What the business knows and wants: rooms of tables and verbs, and three front doors over them."""
