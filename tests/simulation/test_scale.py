"""The benchmark of all categories: what it measures, and how it extrapolates to the paper's set."""

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from phys4d_kedro.simulation.scenes import SCENES

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def imported(name: str) -> Any:
    """A file of benchmarks/, which is a script beside its helpers."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(BENCHMARKS))


@pytest.fixture(scope="module")
def benchmark() -> Any:
    """benchmarks/categories.py."""
    return imported("categories")


@pytest.fixture(scope="module")
def arithmetic() -> Any:
    """benchmarks/_scale.py."""
    return imported("_scale")


def measured(*, step: float, rendering: float, size: str = "1080x1920", **clip: float) -> dict[str, Any]:
    """Made-up figures of a scene: 0.5 MB of RGB and 1.5 MB of motion a frame."""
    image: dict[str, Any] = {"render_ms": rendering, "annotate_ms": 7.0, "code_ms": 3.0, "consistent": 1.0}
    image["bytes"] = {"rgb": 5e5, "motion": 15e5}
    made = {"seconds": 0.5, "bytes": 2e5, "valid_motion": 0.9, "finite_depth": 0.95}
    redraws = {"simulation_redraws": 0.0, "camera_redraws": 0.0}
    return {
        "simulation_ms_a_frame": 7.5 * step,
        "simulation_ms_a_60th": step,
        "simulation_ms_a_frame_at_60": step,
        "clip": made | redraws | clip,
        "images": {size: image},
    }


def category(scenes_in_all: int, **scenes: dict[str, Any]) -> dict[str, Any]:
    return {"settings": {}, "scenes_in_all": scenes_in_all, "scenes": scenes}


@pytest.fixture
def results() -> dict[str, Any]:
    """Three of four scenes are of rigid bodies; a scene of fluids failed, and another was slow and drawn twice."""
    return {
        "categories": {
            "rigid_bodies": category(
                3, one=measured(step=1.0, rendering=100.0), two=measured(step=3.0, rendering=300.0)
            ),
            "fluids": category(
                1,
                slow=measured(step=50.0, rendering=1000.0, simulation_redraws=1.0, camera_redraws=0.5),
                failed={"error": "no camera sees what matters"},
            ),
        }
    }


def test_clips_are_shared_over_scenes_and_costs_are_those_of_every_frame(
    arithmetic: Any, results: dict[str, Any]
) -> None:
    made = arithmetic.extrapolate(results)
    rigid, fluids = made["rigid_bodies"], made["fluids"]
    assert (rigid["clips"], fluids["clips"]) == (937_500, 312_500)
    frames = 300 * 937_500
    assert rigid["simulation"] == pytest.approx(frames * 0.002 / 3600)
    assert rigid["rendering"] == pytest.approx(frames * 0.2 / 3600)
    assert rigid["finishing"] == pytest.approx(frames * 0.01 / 3600)
    assert rigid["terabytes"] == pytest.approx(frames * 2e6 / 1e12)
    assert rigid["terabytes of RGB"] == pytest.approx(frames * 5e5 / 1e12)
    frames = 300 * 312_500
    assert fluids["simulation"] == pytest.approx(frames * 0.05 * 2 / 3600)  # drawn twice
    assert fluids["rendering"] == pytest.approx(frames * 1.0 * 1.5 / 3600)


def test_categories_without_images_of_the_paper_s_size_are_named_and_get_no_clips(
    arithmetic: Any, benchmark: Any, results: dict[str, Any]
) -> None:
    results["categories"]["ropes"] = category(4, swing=measured(step=1.0, rendering=1.0, size="64x64"))
    assert set(arithmetic.extrapolate(results)) == {"rigid_bodies", "fluids"}
    text = benchmark.paper_table(results)
    assert "ropes" in text.splitlines()[-1]
    assert "disagree" not in text
    assert "| all | 1,250,000 |" in text
    assert "no extrapolation" in benchmark.paper_table({"categories": {}})
    results["categories"]["fluids"]["scenes"]["slow"]["images"]["1080x1920"]["consistent"] = 0.0
    assert "disagree at this size, so that it makes no clips: fluids." in benchmark.paper_table(results)


def test_tables_have_a_row_a_category_and_leave_out_what_was_not_measured(
    benchmark: Any, results: dict[str, Any]
) -> None:
    results["categories"]["ropes"] = category(4, swing=measured(step=1.0, rendering=1.0, size="64x64"))
    simulation, rendering, *_, clips = benchmark.tables(results)
    assert "| rigid bodies | 2 of 3 | 15 | 2 | 2 |" in simulation
    assert "| fluids | 1 of 1 |" in simulation
    assert rendering.splitlines()[0] == "| rendering, ms a frame | 64x64 | 1080x1920 |"
    assert "| rigid bodies |  | 200 |" in rendering
    assert "| ropes | 1 |  |" in rendering
    assert "| fluids | 7,200 | 200 | 0.90 | 0.95 | 1.0 | 0.5 |" in clips


@pytest.mark.parametrize("scenes_per_category", [1, 2, 100])
def test_every_category_is_measured_and_the_choice_does_not_change(benchmark: Any, scenes_per_category: int) -> None:
    chosen = benchmark.selection(scenes_per_category)
    assert chosen == benchmark.selection(scenes_per_category)
    assert set(chosen) == {scene.category for scene in SCENES.values()}
    for name, scenes in chosen.items():
        of_category = {scene for scene in SCENES if SCENES[scene].category == name}
        assert set(scenes) <= of_category
        assert len(set(scenes)) == len(scenes) == min(scenes_per_category, len(of_category))


def test_exponent_is_that_of_a_power(benchmark: Any) -> None:
    assert benchmark.exponent({n: 3.0 * n**1.5 for n in (2, 4, 8, 32)}) == pytest.approx(1.5)


@pytest.mark.parametrize("kind", ["convex mesh", "concave mesh", "surface"])
def test_spheres_have_the_triangles_that_they_are_said_to_have_and_face_outwards(benchmark: Any, kind: str) -> None:
    scene, triangles = benchmark.sphere_scene(kind, 32)
    shape = scene.bodies[0].shape
    vertices, faces = (shape.vertices[0], shape.faces[0]) if kind == "surface" else (shape.vertices, shape.faces)
    assert len(faces) == triangles == 32 * 16 * 2
    a, b, c = (vertices[faces[:, corner]].astype(float) for corner in range(3))
    volume = (a * benchmark.np.cross(b, c)).sum() / 6
    assert volume == pytest.approx(4 / 3 * benchmark.np.pi, rel=0.03)


def test_a_rope_is_measured(benchmark: Any) -> None:
    """One real scene, small: a surface, so that cutting frames out of the simulation at 60 FPS is exercised."""
    settings = benchmark.Settings(scenes_per_category=1, sizes=("32x32",), frames=5)
    row = benchmark.measure_scene("swinging_rope", settings)
    image = row["images"]["32x32"]
    assert row["simulation_ms_a_60th"] == pytest.approx(row["simulation_ms_a_frame"] * 5 / 30)
    assert image["render_ms"] > 0
    assert image["consistent"] == 1
    assert sum(image["bytes"].values()) < 32 * 32 * 22  # what the arrays take in memory
    assert 0.3 < row["clip"]["valid_motion"] <= row["clip"]["finite_depth"] <= 1
