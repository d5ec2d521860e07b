"""Moving averages of weights, also of weights that several modules share."""

import pytest
import torch

from phys4d_kedro.training.averages import averaged, start_averages, update_averages


class _Container(torch.nn.Module):
    """A layer of another model, as the container of an adapter holds it, with a buffer of whole numbers."""

    def __init__(self, layer: torch.nn.Linear) -> None:
        super().__init__()
        self.layer = layer
        self.register_buffer("count", torch.zeros((), dtype=torch.long))


def test_the_average_of_a_constant_weight_approaches_it_as_its_decay_says() -> None:
    container = _Container(torch.nn.Linear(2, 2))
    modules: dict[str, torch.nn.Module] = {"adapter": container}
    torch.nn.init.zeros_(container.layer.weight)
    averages = start_averages(modules)
    torch.nn.init.ones_(container.layer.weight)
    container.count.fill_(7)
    for _ in range(3):
        update_averages(modules, averages, 0.8, step=1000)
    assert torch.allclose(averages["adapter"]["layer.weight"], torch.full((2, 2), 1 - 0.8**3))
    assert int(averages["adapter"]["count"]) == 7


def test_whoever_shares_the_weights_sees_the_average_inside_and_their_bits_again_after() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 1))
    modules: dict[str, torch.nn.Module] = {"adapter": _Container(model[0])}  # type: ignore[arg-type]
    averages = start_averages(modules)
    with torch.no_grad():
        model[0].weight.mul_(1 / 3)
    weights, kept = model[0].weight.detach().clone(), averages["adapter"]["layer.weight"].clone()

    def interrupted() -> None:
        with averaged(modules, averages):
            assert torch.equal(model[0].weight, kept)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert torch.equal(model[0].weight, weights)
    assert torch.equal(averages["adapter"]["layer.weight"], kept)
    assert not torch.equal(weights, kept)
