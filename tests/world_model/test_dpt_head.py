"""The dense-prediction head: convex upsampling, attention over time, and what it can bring out."""

import pytest
import torch

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.training.config import DptHeadConfig
from phys4d_kedro.world_model.heads.attention import TemporalAttention, rotate
from phys4d_kedro.world_model.heads.layout import pixels_to_tokens, tokens_to_pixels
from phys4d_kedro.world_model.heads.upsampling import convex_upsample
from tests.world_model.readings import C, D, P, R, random_features, reading_of, small_head


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_a_constant_field_stays_constant() -> None:
    constant = torch.tensor([2.0, -3.0]).expand(1, 4, 5, 2)
    fine = convex_upsample(constant, 5 * normal(1, 4, 5, 9, 16))
    assert torch.allclose(fine, constant[..., None].expand_as(fine), atol=1e-6)


def test_fine_values_lie_between_their_neighbours() -> None:
    values = normal(2, 6, 7, 1)
    fine = convex_upsample(values, 3 * normal(2, 6, 7, 9, 4, seed=1))
    highest = torch.nn.functional.max_pool2d(values.movedim(-1, 1), 3, stride=1, padding=1).movedim(1, -1)
    lowest = -torch.nn.functional.max_pool2d(-values.movedim(-1, 1), 3, stride=1, padding=1).movedim(1, -1)
    assert (fine <= highest[..., None] + 1e-6).all()
    assert (fine >= lowest[..., None] - 1e-6).all()
    assert float(fine.std(-1).mean()) > 0.1  # and differ inside a cell


def test_each_fine_place_has_weights_of_its_own() -> None:
    """The first takes the neighbour up and left, the second that to the right, both without crossing the border."""
    values = torch.arange(12.0).view(1, 3, 4, 1)
    logits = torch.zeros(1, 3, 4, 9, 2)
    logits[..., 0, 0] = logits[..., 5, 1] = 50
    fine = convex_upsample(values, logits)[0, :, :, 0]
    up_left = torch.tensor([[0.0, 0, 1, 2], [0, 0, 1, 2], [4, 4, 5, 6]])
    right = torch.tensor([[1.0, 2, 3, 3], [5, 6, 7, 7], [9, 10, 11, 11]])
    assert torch.allclose(fine, torch.stack([up_left, right], -1), atol=1e-6)


def test_rotation_makes_dot_products_see_distances_in_time() -> None:
    query, key = normal(8).expand(6, 8), normal(8, seed=1).expand(6, 8)
    products = rotate(query) @ rotate(key).T
    for lag in range(-5, 6):
        along = products.diagonal(lag)
        assert torch.allclose(along, along[:1].expand_as(along), atol=1e-5)
    assert float(products.diagonal(0)[0]) == pytest.approx(float(query[0] @ key[0]), abs=1e-5)
    assert float(products[0].std()) > 0.1


def test_attention_is_that_of_each_place_over_time() -> None:
    attention = TemporalAttention(8, heads=1)
    tokens = normal(2, 5, 3, 4, 8)
    assert torch.equal(attention(tokens), tokens)
    torch.nn.init.eye_(attention.out.weight)
    out = attention(tokens)
    for clip, row, column in [(0, 0, 0), (1, 2, 3)]:
        place = tokens[clip, :, row, column]
        query, key, value = attention.qkv(attention.norm(place)).chunk(3, -1)
        weights = (rotate(query) @ rotate(key).T / 8**0.5).softmax(-1)
        assert torch.allclose(out[clip, :, row, column], place + weights @ value, atol=1e-5)


def test_trained_attention_shows_a_token_to_all_latent_frames() -> None:
    values = small_head("dpt")
    for attention in values.attentions:
        torch.nn.init.eye_(attention.out.weight)
    features = random_features(1, grid=(7, 3, 3))
    changed = features.clone()
    changed[0, 3, 1, 1] += 1 + torch.arange(D)
    with torch.no_grad():
        difference = (values(reading_of(changed)) - values(reading_of(features))).abs()
    assert (pixels_to_tokens(difference, R, P)[0].amax((1, 2, 3)) > 0).all()


@pytest.mark.parametrize("grid", [(2, 7, 5), (1, 15, 26), (3, 1, 3)])
@pytest.mark.parametrize("cells", [1, 2, 4])
def test_any_grid_of_tokens_fits(grid: tuple[int, int, int], cells: int) -> None:
    out = small_head("dpt", cells=cells)(reading_of(random_features(grid=grid)))
    assert out.shape == (1, 1 + R * (grid[0] - 1), P * grid[1], P * grid[2], C)
    assert (out.flatten(0, 3).std(0) > 0).all()


def test_every_pixel_frame_and_channel_has_an_output_of_its_own() -> None:
    """Cells that predict one number a slot and channel put it in all pixels of the slot's frames, whatever the mix."""
    values = small_head("dpt")
    planted = torch.arange(float(R * C))
    with torch.no_grad():
        values.proj.weight.zero_()
        values.proj.bias.copy_(planted)
        out = values(reading_of(random_features(grid=(3, 2, 3))))
    slots = [R - 1, *range(R), *range(R)]  # the first latent frame stands for its last slot alone
    expected = planted.view(R, C)[slots][None, :, None, None].expand_as(out)
    assert torch.allclose(out, expected, atol=1e-5)


def test_pixels_of_a_cell_mix_its_neighbours_each_in_its_own_way() -> None:
    with torch.no_grad():
        out = small_head("dpt", cells=2)(reading_of(random_features(grid=(2, 3, 3))))
    cells = out.unflatten(3, (-1, 2)).unflatten(2, (-1, 2))  # B T rows 2 columns 2 C
    assert (cells.transpose(3, 4).flatten(4, 5).std(4) > 0).all()


def test_planted_values_come_out_at_their_own_frames_and_pixels() -> None:
    """Each feature of a token is the depth of one quadrant of the token in one of its four pixel frames."""
    values = small_head("dpt", channels=1, mean=[0.0], std=[1.0], width=32)
    optimizer = torch.optim.Adam(values.parameters(), lr=0.005)

    def planted(features: torch.Tensor) -> torch.Tensor:
        quadrants = features.unflatten(-1, (R, 2, 1, 2, 1)).expand(*features.shape[:-1], R, 2, P // 2, 2, P // 2)
        return tokens_to_pixels(quadrants.flatten(4), R, P)

    for step in range(300):
        features = random_features(step, clips=4, grid=(2, 3, 4))
        loss = (values(reading_of(features)) - planted(features)).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    unseen = random_features(1000, clips=4, grid=(3, 5, 3))
    with torch.no_grad():
        error = (values(reading_of(unseen)) - planted(unseen)).square().mean((0, 2, 3, 4))
    assert (error < 0.3).all(), error  # of a variance of 1, in each of the pixel frames


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="divides the 4 pixels"):
        small_head("dpt", cells=8)
    with pytest.raises(ConfigurationError, match="power of two"):
        small_head("dpt", pixels=6, cells=3)
    with pytest.raises(ValueError, match="even parts"):
        DptHeadConfig(width=12, heads=4)
