"""Nano backbones: the real classes of each family at sizes a CPU trains, in real folder layouts."""
