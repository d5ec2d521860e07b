"""Rigid bodies: balls and blocks that fall, roll, collide and topple."""
