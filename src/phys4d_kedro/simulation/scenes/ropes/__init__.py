"""Ropes and chains."""
