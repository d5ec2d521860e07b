"""Examples and the sheets drawn of them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.errors import MissingAnnotationError
from phys4d_kedro.reporting.examples import PANELS, make_example, read_examples
from phys4d_kedro.reporting.sheets import draw_sheet


def test_examples_are_what_was_predicted(heldout: ClipStore, predictions: ClipStore) -> None:
    examples = list(read_examples(heldout, predictions, "heads", 99))
    assert [example.clip_id for example in examples] == heldout.ids[:6]  # the others were never predicted
    assert len(list(read_examples(heldout, predictions, "heads", 2))) == 2
    assert list(read_examples(heldout, predictions, "other", 2)) == []


def test_true_and_predicted_share_a_scale(heldout: ClipStore) -> None:
    truth = heldout[0]
    same = make_example(truth, truth)
    np.testing.assert_array_equal(same.panels[1], same.panels[2])
    assert truth.depth is not None
    further = make_example(truth, truth.with_(depth=truth.depth * 1.5))
    np.testing.assert_array_equal(further.panels[1], same.panels[1])
    assert further.panels[2].mean() < same.panels[1].mean()


def test_an_example_needs_depth_and_motion(heldout: ClipStore, real: ClipStore) -> None:
    with pytest.raises(MissingAnnotationError, match="'v0'"):
        make_example(heldout[0], real[0])


def test_sheet_holds_the_pictures(heldout: ClipStore, predictions: ClipStore, tmp_path: Path) -> None:
    (example,) = read_examples(heldout, predictions, "heads", 1)
    figure = draw_sheet(example, columns=3, caption="a caption")
    images = [axis.images[0].get_array() for axis in figure.axes if axis.images]
    assert len(images) == len(PANELS) * 3
    np.testing.assert_array_equal(images[0], example.panels[0][0])
    np.testing.assert_array_equal(images[2], example.panels[0][-1])
    np.testing.assert_array_equal(images[3], example.panels[1][0])
    figure.savefig(tmp_path / "sheet.png")
    assert min(Image.open(tmp_path / "sheet.png").size) > 300
