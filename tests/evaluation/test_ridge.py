import numpy as np
import pytest
import torch

from phys4d_kedro.evaluation.ridge import NormalEquations, RidgeFit, RidgeHeads
from phys4d_kedro.world_model.heads import encode_depth, encode_motion
from phys4d_kedro.world_model.labels import Labels


@pytest.mark.parametrize("penalty", [0.0, 0.3])
def test_streaming_weighted_ridge_is_least_squares_of_the_augmented_system(penalty):
    rng = np.random.default_rng(0)
    x, y, weight = rng.normal(2, 1, (200, 6)), rng.normal(size=(200, 4)), rng.uniform(0, 1, 200)
    equations = NormalEquations(6, 4)
    for part in np.array_split(np.arange(200), 7):
        equations.add(*(torch.from_numpy(a[part]) for a in (x, y, weight)))
    got_weight, got_bias = equations.solve(penalty)
    # The penalty as extra rows sqrt(penalty sum w) I that the intercept does not see.
    rows = np.concatenate([x, np.ones((200, 1))], 1) * np.sqrt(weight)[:, None]
    extra = np.concatenate([np.sqrt(penalty * weight.sum()) * np.eye(6), np.zeros((6, 1))], 1)
    targets = np.concatenate([y * np.sqrt(weight)[:, None], np.zeros((6, 4))])
    expected = np.linalg.lstsq(np.concatenate([rows, extra]), targets)[0]
    np.testing.assert_allclose(got_weight, expected[:6], atol=1e-9)
    np.testing.assert_allclose(got_bias, expected[6], atol=1e-9)


def test_constant_inputs_do_no_harm():
    equations = NormalEquations(2, 1)
    x = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    x[:, 1] = 1
    equations.add(x, 3 * x[:, :1] + 1, torch.ones(50))
    weight, bias = equations.solve(0.0)
    torch.testing.assert_close(weight, torch.tensor([[3.0], [0.0]], dtype=torch.float64), atol=1e-6, rtol=0)
    assert bias.item() == pytest.approx(1)


def truth(generator: torch.Generator) -> RidgeHeads:
    def normal(*size: int) -> torch.Tensor:
        return 0.1 * torch.randn(*size, generator=generator)

    return RidgeHeads(normal(12, 16), 1 + normal(16), normal(12, 48), normal(48), temporal=4, pixels=2)


def labels_of(depth: torch.Tensor, motion: torch.Tensor) -> Labels:
    encoded = encode_motion(motion, depth)[None]
    return Labels(encode_depth(depth)[None], torch.ones(1, *depth.shape), encoded, torch.ones(1, *motion.shape[:3]))


def test_what_is_linear_in_the_tokens_is_recovered_for_every_frame_and_pixel():
    generator = torch.Generator().manual_seed(0)
    true, fit = truth(generator), RidgeFit(12, temporal=4, pixels=2)
    for _ in range(20):
        features = torch.randn(3, 2, 3, 12, generator=generator)
        fit.add(features, labels_of(*true.predict(features)))
    features = torch.randn(3, 2, 3, 12, generator=generator)
    depth, motion = fit.solve(1e-9).predict(features)
    assert depth.shape == (9, 4, 6)
    assert motion.shape == (8, 4, 6, 3)
    torch.testing.assert_close(depth, true.predict(features)[0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(motion, true.predict(features)[1], atol=1e-3, rtol=1e-3)


def test_unknown_labels_do_not_count():
    generator = torch.Generator().manual_seed(1)
    true = truth(generator)
    fits = [RidgeFit(12, temporal=4, pixels=2) for _ in range(2)]
    for k in range(20):
        features = torch.randn(3, 2, 3, 12, generator=generator)
        labels = labels_of(*true.predict(features))
        fits[0].add(features, labels)
        if k == 0:
            labels.depth_weight[:], labels.motion_weight[:] = 0, 0
            labels.depth[:], labels.motion[:] = 1e3, -1e3
        else:
            labels.motion[:, 2, 1, 1] = 7.0
            labels.motion_weight[:, 2, 1, 1] = 0
        fits[1].add(features, labels)
    features = torch.randn(3, 2, 3, 12, generator=generator)
    expected, got = (fit.solve(1e-9).predict(features) for fit in fits)
    torch.testing.assert_close(got[0], expected[0], atol=1e-4, rtol=1e-4)
    untouched = torch.ones(8, 4, 6, dtype=torch.bool)
    untouched[2::4, 1::2, 1::2] = False  # the output of a token that was filled in
    torch.testing.assert_close(got[1][untouched], expected[1][untouched], atol=1e-3, rtol=1e-3)
