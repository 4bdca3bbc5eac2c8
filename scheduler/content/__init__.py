"""What is said: templates in locales with Liquid variables."""
