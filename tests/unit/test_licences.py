"""The licences that the project states are those of its files and of the installed packages."""

import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
PAGE = (ROOT / "docs/licences.md").read_text("utf-8")
ROWS = dict(re.findall(r"^\| `([a-z0-9-]+)` \| ([^|]+?) \|", PAGE, re.M))
# the first that is in a licence's name is its family; LGPL before GPL, which it contains
FAMILIES = (
    ("LGPL", "LGPL"),
    ("Lesser General Public", "LGPL"),
    ("GPL", "GPL"),
    ("General Public", "GPL"),
    ("Apache", "Apache"),
    ("BSD", "BSD"),
    ("MIT", "MIT"),
    ("ISC", "ISC"),
    ("PSF", "PSF"),
    ("Python Software Foundation", "PSF"),
)


def family(licence):
    """Return the family of a licence that is named as SPDX, as a classifier or in a title."""
    main = licence.partition(" AND ")[0]
    return next((name for sign, name in FAMILIES if sign in main), f"unknown: {licence}")


def declared(package):
    """Return what a package states: expression, classifier, a line of metadata or its file."""
    distribution = metadata.distribution(package)
    fields = distribution.metadata
    if fields["License-Expression"]:
        return fields["License-Expression"]
    classifiers = [c for c in fields.get_all("Classifier") or () if c.startswith("License ::")]
    if classifiers:
        return classifiers[0]
    if fields["License"]:
        return fields["License"].splitlines()[0]
    file = next(f for f in distribution.files or () if f.name == "LICENSE")
    return file.read_text().split("\n\n")[0].strip()


def name_of(requirement):
    return re.match(r"[\w-]+", requirement)[0].lower()


def test_the_page_names_every_package_that_is_needed():
    needed = {name_of(line) for line in PROJECT["dependencies"]}
    assert needed <= ROWS.keys()
    extras = PROJECT["optional-dependencies"].values()
    assert all(f"`{name_of(line)}`" in PAGE for lines in extras for line in lines)


@pytest.mark.parametrize("package", ROWS)
def test_the_page_has_the_licence_that_a_package_declares(package):
    assert family(ROWS[package]) == family(declared(package))
    assert not family(ROWS[package]).startswith("unknown")


@pytest.mark.parametrize("package", ["tonic", "spikingjelly"])
def test_what_a_licence_means_for_users_is_explained(package):
    paragraphs = PAGE.partition("## What this means for you")[2].split("\n\n")
    assert any(text.startswith(f"**{package}") for text in paragraphs)


def test_the_project_states_one_licence_version_and_authors():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["license"] == PROJECT["license"] == "Apache-2.0"
    assert str(citation["version"]) == PROJECT["version"]
    assert citation["authors"] == PROJECT["authors"]
    assert citation["keywords"] == PROJECT["keywords"]
    assert (citation["cff-version"], citation["type"]) == ("1.2.0", "software")
    assert citation["title"] and citation["message"]


def test_the_licence_is_in_what_is_distributed():
    assert PROJECT["license-files"] == ["LICENSE"]
    text = (ROOT / "LICENSE").read_text("utf-8")
    assert text.split()[:4] == ["Apache", "License", "Version", "2.0,"]
    assert "END OF TERMS AND CONDITIONS" in text
