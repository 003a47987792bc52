"""Tables of the user's: every damage is named, or gives clips that can be written down and read."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import strategies as st

from pipelines.clips import in_place
from pipelines.clips.clips import Clip, read_clips, write_clips
from pipelines.datasets import folder
from tests.fuzz.campaign import Campaign
from tests.fuzz.mutations import damaged, damaged_lines, lines, words
from tests.fuzz.prepared import Prepared
from tests.fuzz.well_formed import check_clips
from tests.unit.test_folder import png, wav

ROWS = [
    {
        "audio": f"{label}/{i}.wav",
        "image": f"{label}/{i}.png",
        "label": label,
        "group": f"g{i}",
        "split": ("train", "train", "validation", "test")[i],
        "azimuth": 22.5 * i,
        "speaker": "",
        "note": 'é, "x"',
    }
    for label in ("dog", "rain")
    for i in range(4)
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for row in ROWS:
        wav(tmp_path / str(row["audio"]))
        png(tmp_path / str(row["image"]))
    return tmp_path


def text_of(delimiter: str, encoding: str) -> bytes:
    text = io.StringIO()
    table = csv.DictWriter(text, list(ROWS[0]), delimiter=delimiter, lineterminator="\n")
    table.writeheader()
    table.writerows(ROWS)
    return text.getvalue().encode(encoding)


@st.composite
def other_cell(draw: st.DrawFn) -> bytes:
    """Put something odd into one cell, the header among them."""
    cells = [list(ROWS[0]), *([str(value) for value in row.values()] for row in ROWS)]
    row, column = draw(st.integers(0, len(cells) - 1)), draw(st.integers(0, len(cells[0]) - 1))
    odd = words | st.integers().map(str) | st.floats().map(str)
    cells[row][column] = draw(odd | st.just("9" * 400) | st.just("1" * 5000))
    text = io.StringIO()
    csv.writer(text).writerows(cells)
    return text.getvalue().encode("utf-8", "surrogatepass")


TEXTS = [text_of(d, e) for d in (",", ";", "\t") for e in ("utf-8", "utf-8-sig", "utf-16")]
SEPARATORS = st.text(max_size=2).map(
    lambda sign: f"sep={sign}\n".encode("utf-8", "replace") + TEXTS[0]
)


def looked_at(root: Path, name: str) -> list[Clip]:
    """Ask of a folder with a table all that `prepare` asks, and write the clips down."""
    clips = folder.pairs(root, path=str(root), table=name)
    classes = folder.classes(root, table=name)
    folder.protocol_of(root, table=name)
    remarks = folder.remarks(root, table=name, protocol="auto")
    own = folder.in_place(root, table=name)
    clips_path = root / "out" / "clips.jsonl"
    write_clips(clips_path, clips)
    in_place.keep(clips_path, own.files)
    assert read_clips(clips_path) == [clip for clip in clips if not clip.excluded]
    check_clips(clips, classes)
    assert all(line.encode() for line in remarks), "can be written down"
    return clips


@pytest.mark.usefixtures("prepared")
def test_tables_as_csv(campaign: Campaign, root: Path) -> None:
    (root / "t.csv").write_bytes(TEXTS[0])
    whole = looked_at(root, "t.csv")

    def attempt(content: bytes) -> None:
        (root / "t.csv").write_bytes(content)
        listed = looked_at(root, "t.csv")
        assert content not in TEXTS or listed == whole

    campaign(
        st.one_of(
            *(damaged(text) for text in TEXTS),
            *(lines(text) for text in TEXTS),
            other_cell(),
            other_cell(),
            SEPARATORS,
            st.sampled_from(TEXTS),
        ),
        attempt,
    )


@pytest.mark.usefixtures("prepared")
def test_tables_as_json_lines(campaign: Campaign, root: Path) -> None:
    def attempt(content: bytes) -> None:
        (root / "t.jsonl").write_bytes(content)
        looked_at(root, "t.jsonl")

    campaign(damaged_lines(ROWS), attempt)


def test_the_fixture_has_a_run(prepared: Prepared) -> None:
    assert (prepared.run / "eval.json").exists()
