"""Every picture: size, bytes, traces, and how it is written."""

import os
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image

from pipelines.errors import MachineError
from pipelines.figures.confusion_plot import draw_confusion
from pipelines.figures.noise_plot import draw_noise
from pipelines.figures.plot_style import write
from pipelines.figures.training_plot import draw_training
from tests.unit.pictures import HISTORY, curve, write_all


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    write_all(folder)
    return folder


@pytest.mark.parametrize(
    ("name", "inches"), [("confusion", (5.0, 4.4)), ("noise", (5.0, 3.4)), ("training", (5.0, 3.4))]
)
def test_pictures_are_png_of_column_width_at_300_dpi(pictures, name, inches):
    with Image.open(pictures / f"{name}.png") as picture:
        assert picture.format == "PNG"
        assert picture.size == (round(300 * inches[0]), round(300 * inches[1]))
        assert picture.info["dpi"] == pytest.approx((300, 300), abs=0.1)
        assert picture.convert("RGB").getpixel((0, 0)) == (255, 255, 255)


def test_many_classes_get_a_page_wide_picture(tmp_path):
    write(
        draw_confusion(np.eye(50, dtype=int), [f"class {k}" for k in range(50)], ""),
        tmp_path / "c.png",
    )
    with Image.open(tmp_path / "c.png") as picture:
        assert picture.size == (2100, 1860)


def test_pictures_carry_no_date_and_no_software(pictures):
    for path in pictures.glob("*.pdf"):
        pdf = path.read_bytes()
        assert pdf.startswith(b"%PDF-")
        for trace in (b"CreationDate", b"/Producer", b"/Creator", b"/Type3"):
            assert trace not in pdf
    for path in pictures.glob("*.png"):
        with Image.open(path) as picture:
            assert set(picture.info) == {"dpi"}


def test_same_numbers_give_the_same_bytes_in_another_process_with_other_settings(
    pictures, tmp_path
):
    code = (
        "import pathlib, sys; from tests.unit import pictures; import matplotlib;"
        "matplotlib.rcParams.update({'font.size': 20, 'xtick.direction': 'in', 'savefig.dpi': 40});"
        "pictures.write_all(pathlib.Path(sys.argv[1]))"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONHASHSEED": "7"},
        check=True,
    )
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) == 6
    for name in names:
        assert (tmp_path / name).read_bytes() == (pictures / name).read_bytes(), name


def test_drawing_leaves_the_settings_of_matplotlib_as_they_were():
    with matplotlib.rc_context({"font.size": 20}):
        before = dict(matplotlib.rcParams)
        draw_noise([curve("fused")])
        assert dict(matplotlib.rcParams) == before


def test_module_imports_no_matplotlib_and_drawing_no_pyplot_and_no_torch(tmp_path):
    code = (
        "import sys, pathlib; from pipelines.figures.plot_style import write;"
        "from pipelines.figures import confusion_plot, noise_plot, training_plot;"
        "print('matplotlib' in sys.modules);"
        "figure = training_plot.draw_training([{'epoch': 1, 'train_loss': 1.0}]);"
        "write(figure, pathlib.Path(sys.argv[1]));"
        "print('matplotlib.pyplot' in sys.modules, 'torch' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "t.png")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"] * 3


def test_writing_replaces_the_old_picture_and_leaves_no_part(tmp_path):
    (tmp_path / "t.png").write_bytes(b"old")
    write(draw_training(HISTORY), tmp_path / "t.png")
    assert [path.name for path in tmp_path.iterdir()] == ["t.png"]
    assert (tmp_path / "t.png").read_bytes() != b"old"


def test_a_failed_write_keeps_the_old_and_leaves_no_part(tmp_path):
    (tmp_path / "t.png").mkdir()
    (tmp_path / "t.png" / "kept").touch()
    with pytest.raises(MachineError):
        write(draw_training(HISTORY), tmp_path / "t.png")
    assert [path.name for path in tmp_path.rglob("*")] == ["t.png", "kept"]


def test_other_formats_are_refused_by_name(tmp_path):
    with pytest.raises(ValueError, match=r"\.png or \.pdf.*t\.jpg"):
        write(draw_training(HISTORY), tmp_path / "t.jpg")
    assert list(tmp_path.iterdir()) == []
