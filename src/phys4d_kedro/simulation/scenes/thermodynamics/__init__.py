"""Smoke, flame, heat and melting."""
