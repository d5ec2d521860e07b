"""Cloth that falls, hangs, and is blown."""
