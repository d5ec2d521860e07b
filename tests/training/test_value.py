"""The value head and its loss."""

from pathlib import Path

import pytest
import torch

from phys4d_kedro.training.value import ValueHead, value_loss
from phys4d_kedro.world_model.backbones.base import Prediction
from phys4d_kedro.world_model.backbones.wan import WanBackbone

LEVELS = torch.tensor([0.9, 0.2, 0.5])


def reading(seed: int = 0, batch: int = 3) -> Prediction:
    tokens = torch.randn(batch, 2, 3, 4, 8, generator=torch.Generator().manual_seed(seed))
    return Prediction(torch.zeros(batch), (torch.zeros_like(tokens), tokens))


def head(seed: int = 0) -> ValueHead:
    torch.manual_seed(seed)
    made = ValueHead(feature_dim=8, hidden_dim=16)
    torch.nn.init.normal_(made.output.weight)
    return made


def test_it_says_0_before_it_is_trained() -> None:
    assert ValueHead(feature_dim=8, hidden_dim=16)(reading(), LEVELS).tolist() == [0, 0, 0]


def test_a_value_is_of_its_own_row_and_its_level() -> None:
    value, seen = head(), reading()
    values = value(seen, LEVELS)
    assert values.shape == (3,)
    alone = Prediction(seen.output[1:2], tuple(layer[1:2] for layer in seen.layers))
    assert torch.allclose(value(alone, LEVELS[1:2]), values[1:2], atol=1e-6)
    assert not torch.isclose(value(seen, LEVELS + 0.1), values).any()
    # The order of tokens means nothing to a mean.
    flipped = Prediction(seen.output, tuple(layer.flip(1, 2, 3) for layer in seen.layers))
    assert torch.allclose(value(flipped, LEVELS), values, atol=1e-6)


def test_its_gradient_stays_in_the_head() -> None:
    value, tokens = head(), torch.randn(3, 2, 3, 4, 8, requires_grad=True)
    value(Prediction(torch.zeros(3), (tokens,)), LEVELS).sum().backward()
    assert tokens.grad is None
    assert all(parameter.grad.abs().sum() > 0 for parameter in value.parameters())


def test_half_precision_features_give_float32() -> None:
    half = Prediction(torch.zeros(3), tuple(layer.bfloat16() for layer in reading().layers))
    assert head()(half, LEVELS).dtype == torch.float32


def test_it_reads_a_backbone_and_comes_back_from_a_folder(tiny_backbone: Path, tmp_path: Path) -> None:
    backbone = WanBackbone(tiny_backbone)
    latents = torch.randn(3, *backbone.latent_shape(frames=5, height=32, width=32))
    condition = backbone.encode_condition(["A red ball rolls left."] * 3, None, frames=5)
    seen = backbone.predict(latents, LEVELS, condition, features=True)
    torch.manual_seed(0)
    value = ValueHead(feature_dim=backbone.feature_dim, hidden_dim=16)
    torch.nn.init.normal_(value.output.weight)
    value.save_pretrained(tmp_path)
    again = ValueHead.from_pretrained(tmp_path, local_files_only=True)
    state = again.state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in value.state_dict().items())
    assert torch.allclose(again(seen, LEVELS), value(seen, LEVELS), atol=1e-6)
    assert value(seen, LEVELS).std() > 0


def test_it_learns_returns() -> None:
    value, seen = head(), reading(batch=32)
    levels, wanted = torch.linspace(0, 1, 32), seen.features[..., 0].mean((1, 2, 3)) * 3 + torch.linspace(0, 1, 32)
    optimizer = torch.optim.Adam(value.parameters(), lr=0.02)
    for _step in range(300):
        optimizer.zero_grad()
        loss = value_loss(value(seen, levels), wanted)
        loss.backward()
        optimizer.step()
    assert loss < 0.1 * wanted.var()


def test_the_loss_is_the_mean_square_over_finite_returns() -> None:
    values = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    loss = value_loss(values, torch.tensor([2.0, torch.nan, 0.0]))
    loss.backward()
    assert loss.item() == pytest.approx((1 + 9) / 2)
    assert values.grad.tolist() == [-1, 0, 3]
    assert value_loss(values, torch.full((3,), torch.inf)).item() == 0
