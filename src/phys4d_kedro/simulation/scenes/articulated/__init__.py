"""Articulated bodies: things on hinges, slides and strings."""
