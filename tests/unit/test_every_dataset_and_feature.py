"""What each data set and each feature must have, whichever there are."""

import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from pipelines import registry
from pipelines.download import manifest as manifests
from pipelines.download.source_file import by_hand
from pipelines.recipe.settings_from_signature import keyword_only, settings_model

ROOT = Path(__file__).parents[2]
DATASETS, FEATURES = registry.names("dataset"), registry.names("feature")
READERS = {"audio", "image", "events", "spikes", "video"}
READS = {
    "waveform": "audio",
    "microphones": "audio",
    "image": "visual",
    "video": "visual",
    "events": "visual",
    "spikes": "audio",
}


def choices(name, parameter):
    hint = (
        settings_model(registry.load_module("dataset", name).pairs)
        .model_fields[parameter]
        .annotation
    )
    return set(get_args(hint))


@pytest.mark.parametrize("name", DATASETS)
def test_a_data_set_has_a_manifest_that_fits_it(name):
    found, module = manifests.load_manifest(name), registry.load_module("dataset", name)
    assert isinstance(module.VERSION, int)
    assert len(set(found.classes)) == len(found.classes)
    assert bool(found.classes) != hasattr(module, "classes"), "of the manifest or of the data"
    assert set(found.protocols) == choices(name, "protocol")
    assert READERS & set(dir(module))
    assert (found.access == "offline") == (
        not (found.files or found.folders or found.tables or found.records)
    )
    if found.access in ("form", "account"):
        error = by_hand(found, "archive.zip")
        assert found.by_hand in error.message and f"avsnn download {name} --from" in error.hint


@pytest.mark.parametrize("name", DATASETS)
def test_every_setting_of_a_data_set_has_a_default_and_a_description(name):
    module = registry.load_module("dataset", name)
    local = getattr(module, "LOCAL", None)
    for setting, field in settings_model(module.pairs).model_fields.items():
        assert setting == local or not field.is_required(), setting
        assert field.description, setting
    assert {"protocol", "seed"} <= set(keyword_only(module.pairs))


@pytest.mark.parametrize("name", DATASETS)
def test_a_data_set_has_a_page(name):
    page = (ROOT / "docs" / "datasets" / f"{name}.md").read_text(encoding="utf-8")
    assert page.startswith(f"# {name}")
    for protocol in manifests.load_manifest(name).protocols:
        assert f"`{protocol}`" in page, protocol


@pytest.mark.parametrize("name", FEATURES)
def test_a_feature_says_what_it_reads_and_gives(name):
    module = registry.load_module("feature", name)
    assert READS[module.READS] == module.MODALITY
    assert isinstance(module.VERSION, int) and module.UNIT
    for setting, field in settings_model(module.extract).model_fields.items():
        assert field.description, setting


@pytest.mark.parametrize("kind", ["dataset", "feature"])
def test_importing_them_all_imports_no_torch(kind):
    code = (
        "import sys; from pipelines import registry\n"
        f"for name in registry.names({kind!r}): registry.load_module({kind!r}, name)\n"
        "assert not {'torch', 'torchaudio', 'av', 'sklearn'} & set(sys.modules), 'heavy import'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
