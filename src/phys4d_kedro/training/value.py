"""The value function of PPO: what reward a video that is being sampled will get, from the transformer's features."""

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch.nn import functional as F

from phys4d_kedro.world_model.backbones.base import Prediction
from phys4d_kedro.world_model.heads.base import token_norm


class ValueHead(ModelMixin, ConfigMixin):
    """Normed tokens, their mean, the noise level, a hidden layer; says 0 before it is trained.

    Its loss does not reach the transformer: that is the policy's, and learns from the surrogate alone.

    Args:
        feature_dim: D of the backbone.
        hidden_dim: width of the hidden layer.
    """

    @register_to_config
    def __init__(self, *, feature_dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.norm = token_norm(feature_dim)
        self.hidden = torch.nn.Linear(feature_dim + 1, hidden_dim)
        self.output = torch.nn.Linear(hidden_dim, 1)
        torch.nn.init.zeros_(self.output.weight)
        torch.nn.init.zeros_(self.output.bias)

    def forward(self, reading: Prediction, noise_level: torch.Tensor) -> torch.Tensor:
        """A reading with features (B, t, h, w, D) and its levels (B,) -> values (B,)."""
        tokens = self.norm(reading.features.detach().float()).mean((1, 2, 3))
        level = noise_level.to(tokens)[:, None]
        values: torch.Tensor = self.output(F.silu(self.hidden(torch.cat([tokens, level], 1))))
        return values[:, 0]


def value_loss(values: torch.Tensor, returns: torch.Tensor) -> torch.Tensor:
    """Mean squared error of values to returns of the same shape, over returns that are finite; 0 where none is."""
    is_finite = torch.isfinite(returns)
    errors = (values.float() - torch.where(is_finite, returns, 0).float()).square()
    return (errors * is_finite).sum() / is_finite.sum().clamp_min(1)
