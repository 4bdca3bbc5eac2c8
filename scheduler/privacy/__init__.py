"""Privacy: what is known of a person, erasing it, and how long things are kept."""
