"""Build the wheel, install it alone beside the present libraries, and use it from elsewhere."""

import os
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run(
            [sys.executable, "-m", "build", "--wheel", "--outdir", folder, ROOT],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        (wheel,) = folder.glob("*.whl")
        inside = set(zipfile.ZipFile(wheel).namelist())
        for kind in ("recipes", "data_manifests"):
            for path in (ROOT / kind).rglob("*.*"):  # recipes, manifests, tables of files
                carried = f"pipelines/bundled/{path.relative_to(ROOT).as_posix()}"
                assert carried in inside, f"the wheel lacks {carried}"
        assert any(name.endswith(".dist-info/licenses/LICENSE") for name in inside)
        for path in (ROOT / "pipelines").rglob("*.html"):  # the report's templates
            assert path.relative_to(ROOT).as_posix() in inside, f"the wheel lacks {path.name}"
        # the libraries of this environment, but avsnn from the wheel
        venv.create(folder / "env", with_pip=True)
        python = folder / "env" / "bin" / "python"
        libraries = next((folder / "env" / "lib").glob("python*")) / "site-packages"
        here = Path(sys.executable).parent.parent / libraries.relative_to(folder / "env")
        (libraries / "libraries.pth").write_text(f"{here}\n")
        subprocess.run(
            [python, "-m", "pip", "install", "--quiet", "--no-deps", "--force-reinstall", wheel],
            check=True,
        )
        environment = {**os.environ, "AVSNN_HOME": str(folder / "home")}
        for arguments in (["--help"], ["ls"], ["validate", "quickstart"], ["prepare", "digits-av"]):
            subprocess.run(
                [folder / "env" / "bin" / "avsnn", *arguments],
                check=True,
                cwd=folder,
                env=environment,
                stdout=subprocess.DEVNULL,
            )
        where = subprocess.run(
            [python, "-c", "import pipelines; print(pipelines.__file__)"],
            check=True,
            cwd=folder,
            capture_output=True,
            text=True,
        ).stdout.strip()
        assert where.startswith(str(libraries)), f"the wheel was not what ran: {where}"
    print("wheel: built, complete, and usable outside the checkout")


if __name__ == "__main__":
    main()
