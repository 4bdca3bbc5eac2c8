"""Content: templates in locales, checked when saved, rendered when sent."""
