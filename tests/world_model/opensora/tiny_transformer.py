"""A tiny transformer of Open-Sora's real class with random weights, and inputs for it."""

from typing import Any

import torch

from phys4d_kedro.world_model.opensora.transformer import STDiT3

TINY: dict[str, Any] = {
    "hidden_size": 32,
    "depth": 2,
    "num_heads": 2,
    "caption_channels": 12,
    "model_max_length": 7,
    "input_sq_size": 64,
}
PIXELS = {"height": 40, "width": 64}  # of the inputs: eight a latent


def build(**sizes: Any) -> STDiT3:
    """A tiny transformer, no weight of which is zero."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformer = STDiT3(**{**TINY, **sizes}).eval()
        for parameter in transformer.parameters():
            parameter.data.add_(torch.randn_like(parameter), alpha=0.1)
    return transformer


def inputs(*, rows: int = 4, columns: int = 8) -> dict[str, Any]:
    """Two clips of three latent frames at different levels, with prompts of different lengths."""
    generator = torch.Generator().manual_seed(1)
    return {
        "hidden_states": torch.randn(2, 4, 3, rows, columns, generator=generator),
        "timestep": torch.tensor([[701.5] * 3, [40.0] * 3]),
        "encoder_hidden_states": torch.randn(2, 7, 12, generator=generator),
        "encoder_attention_mask": torch.tensor([[1, 1, 1, 0, 0, 0, 0], [1, 1, 1, 1, 1, 0, 0]]),
        "fps": torch.tensor([8.0, 24.0]),
        **PIXELS,
    }


def predict(transformer: STDiT3, **changes: Any) -> torch.Tensor:
    """The output for `inputs`, some of them changed."""
    with torch.no_grad():
        output: torch.Tensor = transformer(**{**inputs(), **changes}).sample
    return output
