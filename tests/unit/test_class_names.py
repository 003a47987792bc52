"""Two spellings of one class are never two classes; two classes are never taken for one."""

import itertools
import unicodedata

import pytest

from pipelines import registry
from pipelines.clips import class_names
from pipelines.download import manifest
from pipelines.errors import DataError

APART = [
    "cat",
    "cats",
    "c_at_s",
    "dog_bark",
    "dogbark",
    "dog-bark",
    "0",
    "1",
    "10",
    "1_0",
    "1e1",
    "0.5",
    "-1",
    "öl",
    "ol",
    "雨",
    "ㅣ",
    "a",
    "b",
    "½ tone",
    "nan",
    "inf",
]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("cat", "Cat"),
        ("STRASSE", "straße"),
        ("Σ", "ς"),
        (unicodedata.normalize("NFC", "Vögel"), unicodedata.normalize("NFD", "Vögel")),
        ("ｃａｔ", "cat"),
        ("cat", " cat"),
        ("ice cream", "ice\u00a0cream"),
        ("a b", "a  b"),
        ("guitar\tsolo", "guitar solo"),
        ("cat", "cat\u200b"),
        ("cat", "\ufeffcat"),
        ("cat", "c\u00adat"),
        ("❤", "❤\ufe0f"),
        ("0", "0.0"),
        ("7", "07"),
        ("1", "+1."),
        ("0", "-0"),
        ("12345678901234567890", "12345678901234567890.0"),
    ],
)
def test_two_spellings_of_one_name_stop_and_both_are_named(one, other):
    with pytest.raises(DataError) as caught:
        class_names.check([one, "zebra", other], "here")
    said = caught.value.message
    assert said.startswith("here: ") and caught.value.hint and "zebra" not in said
    for name in (one, other):
        assert ascii(name)[1:-1] in said


def test_names_that_differ_in_more_are_classes_of_their_own():
    class_names.check(APART, "here")
    for one, other in itertools.combinations(APART, 2):
        assert class_names.comparison_key(one) != class_names.comparison_key(other)
    long = "1234567890" * 500  # more digits than int() takes
    class_names.check([long, long + "1"], "here")


@pytest.mark.parametrize("blank", ["", " ", "\u200b", "\t\u00a0", "\ufeff"])
def test_a_blank_name_is_no_class(blank):
    with pytest.raises(DataError, match="blank name"):
        class_names.check(["cat", blank], "here")


def test_no_data_set_of_ours_has_such_names():
    for name in registry.names("dataset"):
        class_names.check(manifest.load_manifest(name).classes, name)
