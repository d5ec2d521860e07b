"""Isaac Sim sequences: exact scenes written in Replicator's conventions come back as exact clips."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories import AnalyticScene
from PIL import Image

from phys4d_kedro.errors import MediaError
from phys4d_kedro.ingestion.config import IsaacFolder
from phys4d_kedro.ingestion.isaac import FrameSequence, check_sequence, find_sequences, read_window

from .conftest import WriteIsaac


def source(root: Path, **changes: Any) -> IsaacFolder:
    return IsaacFolder(**({"kind": "isaac", "folder": str(root), "fps": 24} | changes))


def only(root: Path, **changes: Any) -> FrameSequence:
    [sequence] = find_sequences(source(root, **changes))
    return sequence


def test_sequences_and_prompts_are_found(write_isaac: WriteIsaac, tmp_path: Path) -> None:
    for place in ("ball/env_0/0/0", "ball/env_0/0/1", "ramp/env_3/1/0"):
        write_isaac(tmp_path, place=place)
    (tmp_path / "metadata.csv").write_text(
        "video,prompt\nball/env_0/0/0,a ball\nramp/env_3/1/0/rgb.mp4,a ramp\n", encoding="utf-8"
    )
    found = find_sequences(source(tmp_path))
    assert [str(sequence.place) for sequence in found] == ["ball/env_0/0/0", "ball/env_0/0/1", "ramp/env_3/1/0"]
    assert [sequence.prompt for sequence in found] == ["a ball", "", "a ramp"]
    assert found[0].steps == tuple(f"step_{k:04d}" for k in range(9))


@pytest.mark.parametrize("motion", ["replicator", "forward"])
def test_annotations_come_back_exact(
    scene: AnalyticScene, write_isaac: WriteIsaac, tmp_path: Path, motion: str
) -> None:
    write_isaac(tmp_path, motion=motion)
    sequence = only(tmp_path, motion=motion)
    check_sequence(sequence, decode=True)
    arrays = read_window(sequence, sequence.steps, scene.height, scene.width)
    exact = scene.annotate()
    np.testing.assert_allclose(arrays["intrinsics"], scene.intrinsics, atol=1e-9)
    np.testing.assert_allclose(arrays["world_from_camera"], scene.cameras, atol=1e-9)
    np.testing.assert_allclose(arrays["depth"], exact["depth"], rtol=1e-5)
    valid = arrays["motion_valid"]
    wrong = np.abs(arrays["motion"] - exact["motion"]).max(-1) > 0.05
    assert valid[exact["motion_valid"]].mean() > 0.97
    assert (valid & ~exact["motion_valid"]).mean() < 0.002
    assert (wrong & valid).mean() < 0.002
    assert np.isfinite(arrays["motion"]).all()


def test_a_smaller_clip_keeps_camera_depth_and_motion_together(
    scene: AnalyticScene, write_isaac: WriteIsaac, tmp_path: Path
) -> None:
    """48x64 to 24x24: half the size, cropped; the exact scene seen by the resized camera must agree."""
    write_isaac(tmp_path)
    sequence = only(tmp_path)
    arrays = read_window(sequence, sequence.steps[2:7], 24, 24)
    np.testing.assert_allclose(arrays["intrinsics"][:2, 2], [12, 12])
    np.testing.assert_allclose(arrays["intrinsics"][0, 0], scene.intrinsics[0, 0] / 2)
    x, y = np.meshgrid((np.arange(24) + 0.5) * 2 + 8, (np.arange(24) + 0.5) * 2)
    depth, _, _ = scene.cast(2, np.stack([np.floor(x) + 0.5, np.floor(y) + 0.5], -1))
    np.testing.assert_allclose(arrays["depth"][0], depth, rtol=1e-5)
    exact = scene.annotate()["motion"][2:6, 1::2, 9:57:2]
    valid = arrays["motion_valid"]
    assert valid.mean() > 0.8
    error = np.abs(arrays["motion"] - exact * [0.5, 0.5, 1]).max(-1)
    assert np.quantile(error[valid], 0.99) < 0.05
    landing = np.stack(np.meshgrid(np.arange(24) + 0.5, np.arange(24) + 0.5), -1) + arrays["motion"][..., :2]
    assert ((landing >= 0) & (landing <= 24)).all(-1)[valid].all()


def test_sky_stays_infinite_and_still(write_isaac: WriteIsaac, tmp_path: Path) -> None:
    folder = write_isaac(tmp_path)
    for file in (folder / "distance_to_camera").iterdir():
        distance = np.load(file)
        distance[:10] = np.inf
        np.save(file, distance)
    arrays = read_window(only(tmp_path), only(tmp_path).steps, 48, 64)
    assert np.isinf(arrays["depth"][:, :10]).all()
    assert not arrays["motion_valid"][:, :10].any()
    assert (arrays["motion"][:, :10] == 0).all()


def test_plain_cameras_are_read_too(scene: AnalyticScene, write_isaac: WriteIsaac, tmp_path: Path) -> None:
    folder = write_isaac(tmp_path)
    for t, file in enumerate(sorted((folder / "camera_params").iterdir())):
        camera = {"intrinsics": scene.intrinsics.tolist(), "world_from_camera": scene.cameras[t].tolist()}
        file.write_text(json.dumps(camera))
    arrays = read_window(only(tmp_path), only(tmp_path).steps, 48, 64)
    np.testing.assert_array_equal(arrays["world_from_camera"], scene.cameras)
    np.testing.assert_allclose(arrays["depth"], scene.annotate()["depth"], rtol=1e-5)


def test_rgb_alone_is_enough(write_isaac: WriteIsaac, tmp_path: Path) -> None:
    folder = write_isaac(tmp_path)
    for name in ("distance_to_camera", "motion_vectors", "camera_params"):
        (folder / name).rename(tmp_path / name)
    check_sequence(only(tmp_path), decode=True)
    assert list(read_window(only(tmp_path), only(tmp_path).steps, 48, 64)) == ["rgb"]


def edit(file: Path, **changes: Any) -> None:
    """Write values into the array of a file: pixel=value pairs are put at its first pixels."""
    array = np.load(file)
    array.reshape(-1)[: len(changes["values"])] = changes["values"]
    np.save(file, array)


FAULTS = {
    "missing camera": (
        lambda f: (f / "camera_params/step_0003.json").unlink(),
        r"camera file '.*camera_params/step_0003\.json' is missing; turning distances",
        False,
    ),
    "no cameras": (
        lambda f: (f / "camera_params").rename(f.parent / "elsewhere"),
        r"camera file '.*camera_params/step_0000\.json' is missing",
        False,
    ),
    "camera no JSON": (
        lambda f: (f / "camera_params/step_0003.json").write_text("{"),
        r"'.*camera_params/step_0003\.json' is not JSON",
        False,
    ),
    "camera of another form": (
        lambda f: (f / "camera_params/step_0003.json").write_text('{"fov": 60}'),
        r"'.*step_0003\.json' must hold cameraProjection .* it holds fov",
        False,
    ),
    "NaN distance": (
        lambda f: edit(f / "distance_to_camera/step_0002.npy", values=[np.nan, np.nan, -1.0]),
        r"'.*distance_to_camera/step_0002\.npy': 3 distances are not positive, 2 of them NaN",
        True,
    ),
    "negative distance": (
        lambda f: edit(f / "distance_to_camera/step_0002.npy", values=[-0.5]),
        r"'.*distance_to_camera/step_0002\.npy': 1 distances are not positive, 0 of them NaN",
        True,
    ),
    "missing distance": (
        lambda f: (f / "distance_to_camera/step_0008.npy").unlink(),
        r"'.*distance_to_camera/step_0008\.npy' is missing",
        False,
    ),
    "motion of another shape": (
        lambda f: np.save(f / "motion_vectors/step_0004.npy", np.zeros((48, 64, 2), np.float32)),
        r"'.*motion_vectors/step_0004\.npy' is float32 \(48, 64, 2\), expected float32 \(48, 64, 4\)",
        False,
    ),
    "motion of integers": (
        lambda f: np.save(f / "motion_vectors/step_0004.npy", np.zeros((48, 64, 4), int)),
        r"step_0004\.npy' is int64 .* expected float32",
        False,
    ),
    "motion not finite": (
        lambda f: edit(f / "motion_vectors/step_0004.npy", values=[np.nan]),
        r"'.*motion_vectors/step_0004\.npy': 1 motion values are not finite",
        True,
    ),
    "cut off array": (
        lambda f: (f / "motion_vectors/step_0004.npy").write_bytes(b"\x93NUMPY"),
        r"'.*step_0004\.npy' is damaged or no npy file",
        False,
    ),
    "empty array file": (
        lambda f: (f / "distance_to_camera/step_0004.npy").write_bytes(b""),
        r"'.*step_0004\.npy' is damaged or no npy file",
        False,
    ),
    "pickled array": (
        lambda f: np.save(f / "motion_vectors/step_0004.npy", np.array([{}], object), allow_pickle=True),
        r"'.*step_0004\.npy' is damaged or no npy file",
        False,
    ),
    "motion without distance": (
        lambda f: (f / "distance_to_camera").rename(f.parent / "elsewhere"),
        r"has motion_vectors but no distance_to_camera",
        False,
    ),
    "image of another size": (
        lambda f: Image.new("RGB", (20, 10)).save(f / "rgb/step_0005.png"),
        r"'.*rgb/step_0005\.png' is 20x10, the first of its sequence 64x48",
        False,
    ),
    "cut off image": (
        lambda f: (f / "rgb/step_0005.png").write_bytes((f / "rgb/step_0005.png").read_bytes()[:200]),
        r"'.*rgb/step_0005\.png' is damaged or cut off",
        True,
    ),
    "empty image": (
        lambda f: (f / "rgb/step_0000.png").write_bytes(b""),
        r"'.*rgb/step_0000\.png' cannot be read",
        False,
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_name_the_file(write_isaac: WriteIsaac, tmp_path: Path, fault: str) -> None:
    """Each is found by the check that decodes; those that headers show, by the quick one as well."""
    damage, message, needs_decoding = FAULTS[fault]
    damage(write_isaac(tmp_path))
    sequence = only(tmp_path)
    with pytest.raises(MediaError, match=message):
        check_sequence(sequence, decode=True)
    if needs_decoding:
        check_sequence(sequence, decode=False)
        with pytest.raises(MediaError, match=message):
            read_window(sequence, sequence.steps, 48, 64)
    else:
        with pytest.raises(MediaError, match=message):
            check_sequence(sequence, decode=False)


def test_all_faults_of_a_sequence_are_named_at_once(write_isaac: WriteIsaac, tmp_path: Path) -> None:
    folder = write_isaac(tmp_path)
    (folder / "camera_params/step_0003.json").unlink()
    (folder / "distance_to_camera/step_0006.npy").unlink()
    with pytest.raises(MediaError, match=r"(?s)step_0003\.json.*step_0006\.npy"):
        check_sequence(only(tmp_path), decode=False)


def test_a_zoom_is_refused(write_isaac: WriteIsaac, tmp_path: Path) -> None:
    folder = write_isaac(tmp_path)
    file = folder / "camera_params/step_0004.json"
    content = json.loads(file.read_text())
    content["cameraProjection"][0] *= 1.1
    file.write_text(json.dumps(content))
    with pytest.raises(MediaError, match=r"step_0004\.json': the camera zooms"):
        read_window(only(tmp_path), only(tmp_path).steps, 48, 64)


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="holds no sequences"):
        find_sequences(source(tmp_path))
    assert find_sequences(source(tmp_path, optional=True)) == []
