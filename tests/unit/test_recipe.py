import json
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, Literal

import numpy as np
import pytest
import yaml
from pydantic import Field
from typing_extensions import TypedDict

from pipelines import registry
from pipelines.errors import RecipeError, UsageError
from pipelines.recipe import recipe
from pipelines.recipe.overrides import with_overrides
from pipelines.recipe.settings_from_signature import Section
from pipelines.recipe.yaml_reader import parse
from tests.unit.broken_recipes import BROKEN, GOOD, Broken, line


class Neuron(TypedDict):
    tau: float
    v_threshold: float


class Attention(Section):
    heads: int = 4
    scale: float = 0.125


class Tiny:
    def __init__(
        self,
        *,
        classes: int,
        audio_channels: int = 1,
        width: Annotated[int, Field(ge=1)],
        time_steps: int = 4,
        neuron: Neuron = {"tau": 2.0, "v_threshold": 1.0},  # noqa: B006
        attention: Attention = Attention(heads=2),  # noqa: B008
    ) -> None: ...


def pairs(
    root: Path, *, protocol: Literal["official-folds", "leak-free"] = "leak-free", seed: int = 0
) -> None: ...


def spectrogram(
    waveform: Any,
    *,
    n_fft: Annotated[int, Field(ge=2)] = 512,
    n_mels: int = 64,
    hop: int | Literal["auto"] = "auto",
) -> None: ...


def picture(image: Any) -> None: ...


PRESETS = {
    "paper": {"width": 256, "neuron": {"tau": 3.0}},
    "authors": {"width": 128, "time_steps": 6},
    "narrow": {"width": 0},
}
MODULES = {
    ("dataset", "digits-av"): SimpleNamespace(pairs=pairs),
    ("feature", "stft"): SimpleNamespace(extract=spectrogram, MODALITY="audio"),
    ("feature", "image"): SimpleNamespace(extract=picture, MODALITY="visual"),
    ("model", "tiny"): SimpleNamespace(build=Tiny, PRESETS=PRESETS),
}


@pytest.fixture(autouse=True)
def modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Declare a dataset, two features and a model, so that no real one (and no torch) is needed."""

    def names(kind: str) -> list[str]:
        return sorted(name for of, name in MODULES if of == kind)

    def load(kind: str, name: str) -> SimpleNamespace:
        if (kind, name) not in MODULES:
            raise UsageError(f"no {kind} {name!r}", registry.closest(name, names(kind)))
        return MODULES[kind, name]

    monkeypatch.setattr(registry, "names", names)
    monkeypatch.setattr(registry, "load_module", load)


def load(folder: Path, text: str | bytes = GOOD, *overrides: str) -> recipe.Recipe:
    path = folder / "recipe.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return recipe.load_recipe(path, overrides)


def faults(folder: Path, text: str | bytes = GOOD, *overrides: str) -> list[str]:
    """Return the first line of each fault, without the folder."""
    with pytest.raises(RecipeError) as caught:
        load(folder, text, *overrides)
    said = caught.value.message.replace(f"{folder}/", "").splitlines()
    return [row for row in said if not row.startswith("    ")]


@pytest.mark.parametrize("broken", BROKEN, ids=[name for name, *_ in BROKEN])
def test_a_broken_recipe_is_refused_at_its_place(broken: Broken, tmp_path: Path) -> None:
    _, text, row, column, said = broken
    start = time.perf_counter()
    with pytest.raises(RecipeError) as caught:
        load(tmp_path, text)
    assert time.perf_counter() - start < 5
    assert caught.value.exit_code == 3
    at = f"{tmp_path}/recipe.yaml:{row}:{column}: "
    blocks = [block for block in caught.value.message.splitlines() if block.startswith(at)]
    assert any(said in block for block in blocks), caught.value.message


def is_short_text(broken: Broken) -> bool:
    return isinstance(broken[1], str) and 0 < len(broken[1]) < 1000 and broken[1].isascii()


SHORT = [broken for broken in BROKEN if is_short_text(broken)]


@pytest.mark.parametrize("broken", SHORT, ids=[name for name, *_ in SHORT])
def test_the_caret_stands_under_the_column(broken: Broken, tmp_path: Path) -> None:
    _, text, row, column, _ = broken
    with pytest.raises(RecipeError) as caught:
        load(tmp_path, text)
    rows = caught.value.message.splitlines()
    at = next(n for n, said in enumerate(rows) if f"recipe.yaml:{row}:{column}:" in said)
    source = str(text).split("\n")[row - 1]
    assert rows[at + 2] == " " * (4 + column - 1) + "^"
    assert len(rows[at + 1]) == len(f"    {source}".rstrip())
    assert rows[at + 1][len(rows[at + 2]) :] == f"    {source}"[len(rows[at + 2]) :].rstrip()


def test_forty_recipes_are_broken_each_in_its_own_way() -> None:
    assert len({name for name, *_ in BROKEN}) == len(BROKEN) >= 40


def test_faults_in_three_sections_are_listed_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("digits-av", "digit-av").replace("epochs: 10", "epochs: 0")
    text = text.replace("n_mels", "n_mell").replace("num_workers: 0", "device: gpu, device: cpu")
    assert faults(tmp_path, text) == [
        "recipe.yaml:3:17: data.dataset: no dataset 'digit-av' (did you mean digits-av?)",
        "recipe.yaml:4:36: audio.n_mell: unknown key (did you mean n_mels?)",
        "recipe.yaml:8:11: train.epochs: must be ≥ 1 (is 0)",
        "recipe.yaml:13:19: runtime.device: must be auto, cpu, cuda or cuda:N (is 'gpu')",
        "recipe.yaml:13:24: runtime.device: duplicate key",
    ]


def test_a_fault_shows_its_line(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        load(tmp_path, line(4, "audio: {feature: stft, n_mell: 4}"))
    assert caught.value.message == (
        f"{tmp_path}/recipe.yaml:4:24: audio.n_mell: unknown key (did you mean n_mels?)\n"
        "    audio: {feature: stft, n_mell: 4}\n"
        "                           ^"
    )


def test_what_the_reader_refused_is_not_blamed_again(tmp_path: Path) -> None:
    assert faults(tmp_path, line(8, "  epochs: .inf")) == [
        "recipe.yaml:8:11: train.epochs: a number must be finite"
    ]
    assert faults(tmp_path, line(4, "audio: *sound")) == [
        "recipe.yaml:4:8: audio: alias *sound; write the value out"
    ]
    assert faults(tmp_path, line(4, "audio: {<<: {feature: stft}}")) == [
        "recipe.yaml:4:9: audio: merge key; write the keys out"
    ]


def test_every_default_is_written_out(tmp_path: Path) -> None:
    resolved = load(tmp_path).resolved()
    assert resolved == {
        "version": 1,
        "seed": 0,
        "data": {
            "dataset": "digits-av",
            "max_excluded_share": None,
            "protocol": "leak-free",
            "seed": 0,
        },
        "audio": {
            "feature": "stft",
            "sample_rate": 22050,
            "seconds": 4.0,
            "normalise": "training",
            "n_fft": 512,
            "n_mels": 64,
            "hop": "auto",
        },
        "visual": {
            "feature": "image",
            "size": [64, 64],
            "crop": "none",
            "flip": False,
            "normalise": "training",
        },
        "model": {
            "name": "tiny",
            "preset": "paper",
            "width": 32,
            "time_steps": 4,
            "neuron": {"tau": 3.0, "v_threshold": 1.0},
            "attention": {"heads": 2, "scale": 0.125},
        },
        "train": {
            "epochs": 10,
            "batch_size": 4,
            "optimizer": {"name": "adam", "lr": 0.001, "weight_decay": 0.0, "betas": [0.9, 0.999]},
            "schedule": {
                "name": "constant",
                "warmup_epochs": 0.0,
                "warmup_lr": 1e-6,
                "final_lr": 0.0,
                "milestones": [],
                "gamma": 0.1,
            },
            "label_smoothing": 0.0,
            "clip_norm": None,
            "precision": "fp32",
            "memory_format": "auto",
            "data_on_device": "auto",
            "select": "best-validation",
            "augment": {
                "time_shift": 0.0,
                "noise_snr_db": None,
                "noise_probability": 0.5,
                "events": {
                    "drop": 0.0,
                    "rate": 0.0,
                    "time_jitter_us": 0.0,
                    "space_jitter_px": 0.0,
                    "refractory_us": 0,
                    "hot_pixels": 0.0,
                    "hot_rate": 100.0,
                },
            },
            "deterministic": True,
            "start_from": [],
            "freeze": [],
        },
        "noise": {
            "snr_db": {"start": 0.0, "stop": 30.0, "step": 5.0},
            "modality": "both",
            "power": "sample",
            "seed": 0,
        },
        "runtime": {"num_workers": 0, "device": "auto", "threads": None},
    }
    assert json.loads(json.dumps(resolved, allow_nan=False)) == resolved


def test_one_modality_is_enough(tmp_path: Path) -> None:
    one = load(tmp_path, line(5, ""))
    assert one.visual is None
    assert "visual" not in one.resolved()


def test_a_resolved_recipe_reads_back_as_itself(tmp_path: Path) -> None:
    text = line(8, "  epochs: 10\n  data_on_device: no\n  schedule: {milestones: [3, 5]}")
    first = load(tmp_path, text)
    written = first.to_yaml()
    assert load(tmp_path, written).resolved() == first.resolved()
    assert load(tmp_path, written).to_yaml() == written
    assert yaml.safe_load(written) == first.resolved()


def test_the_order_of_a_file_does_not_matter(tmp_path: Path) -> None:
    turned = yaml.safe_dump(json.loads(json.dumps(yaml.safe_load(GOOD))), sort_keys=True)
    assert load(
        tmp_path, turned.replace("1e-3", "0.001").replace("'0.001'", "0.001")
    ).to_yaml() == (load(tmp_path).to_yaml())


def test_a_preset_lies_under_what_is_written(tmp_path: Path) -> None:
    def model(text: str, *overrides: str) -> dict[str, Any]:
        return load(tmp_path, line(6, text), *overrides).resolved()["model"]

    assert model("model: {name: tiny}")["width"] == 256
    assert model("model: {name: tiny, width: 7}")["width"] == 7
    authors = model("model: {name: tiny, preset: authors, width: 7}")
    assert (authors["width"], authors["time_steps"], authors["neuron"]["tau"]) == (7, 6, 2.0)
    assert model("model: {name: tiny, width: 7}", "model.preset=authors") == authors
    partly = model("model: {name: tiny, neuron: {v_threshold: 0.5}, attention: {scale: 1}}")
    assert partly["neuron"] == {"tau": 3.0, "v_threshold": 0.5}
    assert partly["attention"] == {"heads": 2, "scale": 1.0}
    assert PRESETS["paper"] == {"width": 256, "neuron": {"tau": 3.0}}


def test_a_fault_of_a_preset_is_blamed_on_the_preset(tmp_path: Path) -> None:
    assert faults(tmp_path, line(6, "model: {name: tiny, preset: narrow}")) == [
        "preset narrow of tiny: model.width: must be ≥ 1 (is 0)"
    ]


def test_set_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    expected = load(tmp_path).resolved()
    changed = load(
        tmp_path,
        GOOD,
        "train.optimizer.lr=5e-4",
        "audio.hop=160",
        "noise={snr_db: {stop: 10}, modality: audio}",
        "train.clip_norm=1",
    ).resolved()
    expected["train"]["optimizer"]["lr"] = 0.0005
    expected["audio"]["hop"] = 160
    expected["noise"]["snr_db"]["stop"] = 10.0
    expected["noise"]["modality"] = "audio"
    expected["train"]["clip_norm"] = 1.0
    assert changed == expected


def test_set_splits_on_the_first_equals_sign(tmp_path: Path) -> None:
    assert faults(tmp_path, GOOD, "data.dataset=a=b") == [
        "--set data.dataset=a=b: data.dataset: no dataset 'a=b' (known: digits-av)"
    ]


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("audio.n_mell=3", "audio.n_mell: unknown key (did you mean n_mels?)"),
        ("trian.epochs=3", "trian: unknown key (did you mean train?)"),
        ("train.batch-size=3", "train.batch-size: unknown key (did you mean batch_size?)"),
        ("model.neuron.tua=3", "model.neuron.tua: unknown key (did you mean tau?)"),
        ("train.epochs='3'", "train.epochs: must be an integer (is '3')"),
        ("train.epochs=5:30:5", "train.epochs: must be an integer (is '5:30:5')"),
        ("train.epochs=", "train.epochs: no value; write null for none"),
        ("train.epochs=[1", "train.epochs: not valid YAML: never closed"),
        ("train.epochs=.inf", "train.epochs: a number must be finite"),
        ("noise.snr_db={start: 1, start: 2}", "noise.snr_db.start: duplicate key"),
        ("noise.snr_db=!!python/name:os.abc {}", "noise.snr_db: tag '!!python/name:os.abc'"),
        ("train=3", "train: must be a mapping (is 3)"),
        ("visual=null", "visual: must be a mapping (is null)"),
        ("seed.x=3", "seed.x: seed is not a section"),
        ("visual.size=[8]", "visual.size[1]: missing"),
        ("model.preset=papre", "model.preset: no preset 'papre' of tiny (did you mean paper?)"),
    ],
)
def test_a_faulty_set_is_refused_under_its_own_name(
    override: str, said: str, tmp_path: Path
) -> None:
    said_of = faults(tmp_path, GOOD, override)
    assert len(said_of) == 1
    assert said_of[0].startswith(f"--set {override}: {said}")


def test_set_leaves_the_document_that_it_was_given_alone() -> None:
    document = parse(GOOD, "x")
    changed = with_overrides(document, ["train.epochs=3", "seed=1.5.1"])
    assert (changed.data["train"]["epochs"], document.data["train"]["epochs"]) == (3, 10)
    assert document == parse(GOOD, "x")


def test_set_may_not_name_a_place_twice(tmp_path: Path) -> None:
    twice = faults(tmp_path, GOOD, "train.epochs=3", "train.epochs=3")
    assert twice == ["--set train.epochs=3: train.epochs: already set by --set train.epochs=3"]
    assert len(faults(tmp_path, GOOD, "train.epochs=3", "train={epochs: 4}")) == 1
    assert load(tmp_path, GOOD, "train.epochs=3", "train.batch_size=3").train.epochs == 3


@pytest.mark.parametrize("override", ["train.epochs", "=3", "train..epochs=3", ".=3", ""])
def test_set_without_a_path_or_value_is_a_usage_error(override: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"not of the form a\.b=VALUE"):
        load(tmp_path, GOOD, override)


def test_faults_of_the_file_and_of_set_are_listed_together(tmp_path: Path) -> None:
    both = faults(tmp_path, line(8, "  epochs: 0"), "audio.n_mell=3", "visual.crop=rand")
    assert [fault.partition(": ")[0] for fault in both] == [
        "recipe.yaml:8:11",
        "--set audio.n_mell=3",
        "--set visual.crop=rand",
    ]


def test_a_set_that_mends_a_faulty_value_makes_the_recipe_valid(tmp_path: Path) -> None:
    assert load(tmp_path, line(8, "  epochs: 0"), "train.epochs=3").train.epochs == 3


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "recipes"
    for name in ("quickstart", "spoken_digits_av/s_cmrl", "digits_av/s_cmrl"):
        file = folder / f"{name}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(GOOD)
    monkeypatch.setattr(registry, "bundled", lambda kind: tmp_path / kind)
    monkeypatch.chdir(tmp_path)
    return folder


def test_a_bundled_recipe_is_found_by_its_name(bundle: Path) -> None:
    file = bundle / "spoken_digits_av" / "s_cmrl.yaml"
    assert recipe.bundled_names() == ["digits_av/s_cmrl", "quickstart", "spoken_digits_av/s_cmrl"]
    for name in (
        "spoken_digits_av/s_cmrl",
        "spoken-digits-av/s-cmrl",
        "spoken_digits_av/s-cmrl.yaml",
    ):
        assert recipe.find(name) == file
    assert recipe.load_recipe(file).name == "spoken_digits_av/s_cmrl"


def test_an_own_file_is_found_by_its_path(bundle: Path, tmp_path: Path) -> None:
    own = tmp_path / "mine.yaml"
    own.write_text(GOOD)
    assert recipe.find("mine.yaml") == Path("mine.yaml")
    assert recipe.find(str(own)) == own
    assert recipe.load_recipe(own).name == "mine"
    assert recipe.find("quickstart.yaml") == bundle / "quickstart.yaml"


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("spoken_digits_av/s_cmlr", "did you mean spoken_digits_av/s_cmrl?"),
        ("s_cmlr", "did you mean spoken_digits_av/s_cmrl?"),
        ("quikstart", "did you mean quickstart?"),
        ("../secret", "no recipe '../secret'"),
        ("a\0b.yaml", "no recipe"),
        ("x" * 5000 + ".yaml", "no recipe"),
        ("recipes.yaml", "no recipe"),
        ("", "no recipe ''"),
    ],
)
def test_an_unknown_recipe_is_refused_with_the_nearest_name(
    name: str, nearest: str, bundle: Path
) -> None:
    (bundle.parent / "secret.yaml").write_text(GOOD)
    (bundle.parent / "recipes.yaml").mkdir()
    with pytest.raises(RecipeError) as caught:
        recipe.find(name)
    assert nearest in caught.value.message
    assert caught.value.hint == "avsnn ls recipes"


@pytest.mark.parametrize(
    ("text", "start", "stop", "points"),
    [
        ("0:30:5", 0, 30, 7),
        ("-10:10:2.5", -10, 10, 9),
        ("0:99.9:.1", 0, 99.9, 1000),
        ("0:0.3:0.1", 0, 0.3, 4),
        ("-5", -5, -5, 1),
    ],
)
def test_a_range_holds_both_ends_without_drift(
    text: str, start: float, stop: float, points: int
) -> None:
    levels = recipe.parse_range(text).levels()
    assert len(levels) == points
    np.testing.assert_allclose(levels, np.linspace(start, stop, points), rtol=0, atol=1e-9)
    assert (levels[0], levels[-1]) == (start, stop)


def test_a_range_stops_before_an_end_that_no_step_meets() -> None:
    assert recipe.parse_range("0:1:0.3").levels() == [0.0, 0.3, 0.6, 0.9]


NOT_NUMBERS = ["nan", "inf", "0:100:0.1", "1_0", "-999", "٣", "0:30:5\n"]


@pytest.mark.parametrize(
    "text",
    ["", "a", "0:30", "0:30:0", "0:30:-5", "30:0:5", "0:30:5:1", "0:1e9:1", "0 :1:1", *NOT_NUMBERS],
)
def test_nonsense_is_no_range(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        recipe.parse_range(text)
    assert caught.value.exit_code == 2
    assert "0:30:5" in caught.value.hint


def test_every_key_says_what_it_does() -> None:
    from pipelines.recipe.schema import RecipeFile

    def undescribed(model: Any) -> list[str]:
        own = [f"{model.__name__}.{k}" for k, f in model.model_fields.items() if not f.description]
        fields = [field.annotation for field in model.model_fields.values()]
        inner = [kind for kind in fields if isinstance(kind, type) and issubclass(kind, Section)]
        return own + [name for kind in inner for name in undescribed(kind)]

    assert undescribed(RecipeFile) == []


def test_checking_a_recipe_takes_less_than_50_ms(tmp_path: Path) -> None:
    load(tmp_path)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        recipe.load_recipe(tmp_path / "recipe.yaml")
        times.append(time.perf_counter() - start)
    assert min(times) < 0.05


def test_reading_recipes_imports_no_torch() -> None:
    code = "import sys, pipelines.recipe.recipe; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(recipe.__file__).parents[1])
