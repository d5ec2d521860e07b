"""Soft bodies: elastic things that give way."""
