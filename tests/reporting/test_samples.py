"""Sheets of generated clips: the right frames, true above generated, in pages by category."""

from pathlib import Path

import factories
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.errors import InvalidClipError
from phys4d_kedro.reporting.samples import Sample, draw_samples, sample_pages


def sample(index: int, category: str = "ropes", frames: int = 17) -> Sample:
    """A clip whose every frame is a colour of its own, and its negative as what was generated."""
    rgb = np.tile(np.arange(frames, dtype=np.uint8)[:, None, None, None] * 10 + np.uint8(index), (1, 8, 12, 3))
    truth = Clip(
        clip_id=f"clip-{index}",
        rgb=rgb,
        fps=8.0,
        source="simulation",
        scene=f"scene_{index}",
        category=category,
        prompt="A rope swings. " * 20,
    )
    return Sample(truth, truth.with_(clip_id=f"clip-{index}.seed0", rgb=255 - rgb, source="pseudo"))


def shown(figure: Figure) -> list[np.ndarray]:
    """Pictures of the rows."""
    return [np.asarray(axis.images[0].get_array()) for axis in figure.axes]


def test_true_frames_stand_above_generated_ones() -> None:
    one = sample(3)
    (picture,) = shown(draw_samples([one]))
    assert picture.shape == (8 + 1 + 8, 5 * 12 + 4, 3)
    for column, frame in enumerate((0, 4, 8, 12, 16)):
        left = column * 13
        assert np.array_equal(picture[:8, left : left + 12], one.truth.rgb[frame])
        assert np.array_equal(picture[9:, left : left + 12], one.generated.rgb[frame])
    assert (picture[8] == 255).all()
    assert (picture[:, 12::13] == 255).all()


def test_first_and_last_frame_are_shown_whatever_the_length() -> None:
    one = sample(0, frames=9)
    (picture,) = shown(draw_samples([one], columns=3))
    assert [int(picture[0, left, 0]) for left in (0, 13, 26)] == [0, 40, 80]


def test_words_say_what_is_shown_and_stay_on_the_page(tmp_path: Path) -> None:
    figure = draw_samples([sample(0), sample(1)], title="ropes, 1 to 2 of 2")
    figure.savefig(tmp_path / "page.png")
    for index, axis in enumerate(figure.axes):
        words = axis.get_title(loc="left")
        assert words.startswith(f"scene_{index}  (clip-{index}.seed0)\nA rope swings.")
        assert words.endswith("...")
        assert [label.get_text() for label in axis.get_yticklabels()] == ["true", "generated"]
        assert axis.get_xticklabels()[1].get_text() == "frame 4, 0.50 s"
    renderer = FigureCanvasAgg(figure).get_renderer()
    boxes = [axis.get_tightbbox(renderer) for axis in figure.axes]
    assert boxes[0].y0 > boxes[1].y1  # rows do not touch
    assert figure.texts[0].get_window_extent(renderer).y0 > boxes[0].y1
    width, height = Image.open(tmp_path / "page.png").size
    assert all(box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height for box in boxes)


def test_pixels_are_square() -> None:
    figure = draw_samples([sample(0)])
    box = figure.axes[0].get_position()
    width, height = figure.get_size_inches()
    assert box.width * width / (5 * 12 + 4) == pytest.approx(box.height * height / 17)


def test_pages_go_by_category() -> None:
    samples = [sample(index, "ropes" if index % 3 else "fluids") for index in range(9)] + [sample(9, "")]
    pages = dict(sample_pages(samples, rows=4))
    assert {name: len(figure.axes) for name, figure in pages.items()} == {
        "fluids_1": 3,
        "no_category_1": 1,
        "ropes_1": 4,
        "ropes_2": 2,
    }
    assert pages["ropes_2"].texts[0].get_text() == "ropes, 5 to 6 of 6"
    firsts = [int(picture[0, 0, 0]) for name in ("ropes_1", "ropes_2") for picture in shown(pages[name])]
    assert firsts == [1, 2, 4, 5, 7, 8]


def test_clips_that_do_not_fit_are_named() -> None:
    with pytest.raises(InvalidClipError, match=r"'sphere-0001'.*'clip-0'"):
        Sample(sample(0).truth, factories.make_clip(1))
