"""Physics-consistent 4D world models from pretrained video diffusion transformers."""

__version__ = "0.1.0"
