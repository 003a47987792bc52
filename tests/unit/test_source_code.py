"""The code in a key: what it does counts, how it is written does not, and nothing is left out."""

import json
import shutil
import subprocess
import sys
import textwrap
from importlib import util
from zipfile import ZipFile

import pytest

from pipelines import registry
from pipelines.errors import MachineError
from pipelines.plan import source_code
from pipelines.plan.source_code import changed, code_of, digest, shortly

CODE = '''
"""What it is."""
import math
from typing import TYPE_CHECKING

THRESHOLD: float = 1.0  # of the membrane


class Neuron:
    """A neuron."""

    def forward(self, x, *, reset=None):
        """Return spikes."""
        if x is None:
            return -0.5
        return [f"{v!r:>{8}} {math.pi:.2f}" for v in x if v > THRESHOLD]
'''

WRITTEN_OTHERWISE = {
    "a comment": CODE + "# the end\n",
    "no comment": CODE.replace("  # of the membrane", ""),
    "no docstring of the module": CODE.replace('"""What it is."""', ""),
    "another docstring": CODE.replace('"""Return spikes."""', "'''Return\n    them.'''"),
    "a text that stands alone": CODE.replace("class", '"""Its threshold."""\n\n\nclass'),
    "lines moved": CODE.replace("\n\n\nclass", "\n\n\n\n\n\nclass"),
    "brackets and quotes": CODE.replace("if x is None:", "if (\n            x is None\n        ):"),
    "line ends of another system": CODE.replace("\n", "\r\n"),
}
DOING_SOMETHING_ELSE = {
    "a number": CODE.replace("1.0", "1.1"),
    "a sign": CODE.replace("-0.5", "0.5"),
    "an integer for a float": CODE.replace("1.0", "1"),
    "a comparison": CODE.replace("v > T", "v >= T"),
    "a default": CODE.replace("reset=None", "reset=0"),
    "no default": CODE.replace("reset=None", "reset"),
    "a name": CODE.replace("math.pi", "math.e"),
    "a format": CODE.replace(":.2f", ":.3f"),
    "a text": CODE.replace("-0.5", "'half'"),
    "a line less": CODE.replace("        if x is None:\n            return -0.5\n", ""),
    "two lines swapped": CODE.replace(
        "import math\nfrom typing import TYPE_CHECKING",
        "from typing import TYPE_CHECKING\nimport math",
    ),
}


@pytest.mark.parametrize("name", WRITTEN_OTHERWISE)
def test_comments_docstrings_and_layout_change_no_hash(name):
    assert WRITTEN_OTHERWISE[name] != CODE
    assert digest(WRITTEN_OTHERWISE[name]) == digest(CODE)


SETTING = 'width: Annotated[int, Field(ge=1, description="Width of a token.")] = 64'


def test_the_sentence_that_explains_a_setting_changes_no_hash():
    for other in ('"Number of units."', '"Width" " D."', 'f"{WIDTH} of a token."'):
        assert digest(SETTING.replace('"Width of a token."', other)) == digest(SETTING)
    assert digest(SETTING.replace(', description="Width of a token."', "")) == digest(SETTING)


def test_a_settings_bounds_and_another_functions_description_are_in_the_hash():
    hashes = {digest(SETTING)}
    hashes |= {digest(SETTING.replace("ge=1", change)) for change in ("ge=2", "gt=1", "ge=1, le=9")}
    other = SETTING.replace("Field", "Row")
    hashes |= {digest(other), digest(other.replace("Width", "Height"))}
    assert len(hashes) == 6


@pytest.mark.parametrize("name", DOING_SOMETHING_ELSE)
def test_a_changed_line_changes_the_hash(name):
    assert digest(DOING_SOMETHING_ELSE[name]) != digest(CODE)


def test_every_line_that_does_something_is_in_the_hash():
    """Removed or doubled, one after the other: a hash that reads on would not see it."""
    lines = [f"x{i} = {i}" for i in range(30)]
    hashes = {digest("\n".join(lines[:i] + lines[i + 1 :])) for i in range(30)}
    hashes |= {digest("\n".join([*lines[:i], lines[i], *lines[i:]])) for i in range(30)}
    assert len(hashes | {digest("\n".join(lines))}) == 61


def test_the_hash_is_the_same_in_every_version_of_python():
    """A literal: a version whose trees say more, or differently, fails here."""
    assert digest(CODE) == "cd48fa43466e"


def test_what_does_nothing_has_no_hash():
    assert digest("") == digest('"""A package."""\n# with a remark\n') == ""
    assert digest("x = 1") != ""


IMPORT = """
import importlib, json, sys
found = {}
for module in sys.argv[1:]:
    for name in [name for name in sys.modules if name.startswith("pipelines")]:
        del sys.modules[name]
    importlib.import_module(module)
    found[module] = [
        name for name, it in sys.modules.items()
        if name.startswith("pipelines") and not hasattr(it, "__path__")
    ]
print(json.dumps(found))
"""


def really_imported(modules):
    """Import modules, each as if it were the first; returns what of ours each brings with it."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORT, *modules],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    return {module: set(found) for module, found in json.loads(done.stdout).items()}


def modules_of(code):
    return {path.removesuffix(".py").replace("/", ".") for path in code}


def test_all_that_python_imports_is_found():
    """Held against the interpreter; but for what is named as having no part in a number."""
    modules = [
        registry.module_name(kind, name)
        for kind in ("model", "feature", "dataset")
        for name in registry.names(kind)
    ]
    modules += ["pipelines.training.loop", "pipelines.training.network"]
    modules += ["pipelines.cache.build", "pipelines.cache.clips_build"]
    apart = source_code.APART | modules_of(code_of(*source_code.APART))
    for module, names in really_imported(modules).items():
        found = modules_of(code_of(module))
        assert module in found and names - apart <= found, module


def test_shared_parts_are_in_the_hash_of_each_model_that_uses_them():
    for model in ("s-cmrl", "spikformer", "sca", "cmci", "weight-attention", "spikslc-net"):
        assert "pipelines/snn/lif_cpu.py" in code_of(registry.module_name("model", model))
    for model in ("agm", "pmr", "ogm-ge", "mslr", "resnet18-joint"):
        assert "pipelines/ann/resnet.py" in code_of(registry.module_name("model", model))
    # an import within a function, and of a module out of a package
    assert "pipelines/cache/rows.py" in code_of("pipelines.training.inputs")
    assert {"pipelines/features/logmel.py", "pipelines/features/gcc_phat.py"} <= set(
        code_of("pipelines.features.gcc_logmel")
    )


def test_what_makes_no_number_is_in_no_hash():
    for model in registry.names("model"):
        code = code_of(registry.module_name("model", model), "pipelines.training.loop")
        assert not [path for path in code if "avsnn_cli" in path or "evaluation" in path]
        assert not {
            "pipelines/plan/plan.py",
            "pipelines/errors.py",
            "pipelines/disk/store.py",
        } & set(code)


def test_a_change_names_its_files():
    then, now = {"a.py": "1", "b.py": "2", "c.py": "3"}, {"a.py": "1", "b.py": "9", "d.py": "4"}
    assert changed(then, now) == ["b.py", "c.py", "d.py"] and changed(now, dict(now)) == []
    assert shortly(["a", "b", "c"]) == "a, b, c"
    assert shortly(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"


def package(folder):
    """Write a package like ours: relative imports, one for type checkers, one of a subpackage."""
    sources = {
        "__init__.py": "",
        "models/__init__.py": "READY = True",
        "models/one.py": """
            from typing import TYPE_CHECKING
            from ..snn import lif
            from .shared import Head
            if TYPE_CHECKING:
                from pipelines.plan.plan import Plan
            def build():
                import pipelines.late as late
                return lif, late
        """,
        "models/shared.py": "Head = 1",
        "snn/__init__.py": "",
        "snn/lif.py": "STEP = 1",
        "late.py": "",
        "plan/__init__.py": "",
        "plan/plan.py": "Plan = 1",
        "other.py": "x = 1",
    }
    for name, text in sources.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(textwrap.dedent(text))
    return [folder / name for name in sources]


SAY = "import json, pipelines.plan.{0} as s; print(json.dumps(s.code_of('pipelines.models.one')))"


def said_by(place):
    """Ask the module for the code of a package that stands elsewhere."""
    return subprocess.run(
        [sys.executable, "-c", SAY.format("source_code")],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        env={"PYTHONPATH": str(place)},
    )


@pytest.fixture
def mine(tmp_path):
    """A small package with the module that is tested in it."""
    package(tmp_path / "pipelines")
    for name in ("plan/source_code", "errors"):
        spec = util.find_spec(f"pipelines.{name.replace('/', '.')}")
        shutil.copy(spec.origin, tmp_path / f"pipelines/{name}.py")
    return tmp_path


def test_relative_and_late_imports_are_followed_and_those_for_type_checkers_not(mine):
    found = json.loads(said_by(mine).stdout)
    assert list(found) == [
        "pipelines/models/__init__.py",
        "pipelines/models/one.py",
        "pipelines/models/shared.py",
        "pipelines/snn/lif.py",
    ]


def test_a_package_in_a_zip_has_the_same_hashes(mine):
    archive = mine / "avsnn.zip"
    with ZipFile(archive, "w") as file:
        for path in sorted((mine / "pipelines").rglob("*.py")):
            file.write(path, path.relative_to(mine))
    done = said_by(archive)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads(said_by(mine).stdout) != {}


def test_a_module_without_its_source_is_one_line(monkeypatch):
    class Compiled:
        submodule_search_locations = None
        loader = object()

    monkeypatch.setattr(source_code, "find_spec", lambda _: Compiled)
    with pytest.raises(MachineError, match=r"pipelines/models/mine\.py has no source"):
        code_of("pipelines.models.mine")


@pytest.mark.parametrize("name", sorted(source_code.APART))
def test_every_name_that_keys_leave_out_is_a_module(name):
    assert util.find_spec(name) is not None, f"{name} has moved: its code would come into all keys"
