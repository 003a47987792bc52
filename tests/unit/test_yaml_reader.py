import json
import os
import random
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from pipelines.errors import DataError, RecipeError
from pipelines.recipe.messages import KeyPath
from pipelines.recipe.yaml_reader import dump, faults_of, parse, read_yaml, render, scan
from tests.unit.broken_recipes import GOOD, NOT_PLAIN, SYNTAX


def value(text: str) -> Any:
    return parse(f"key: {text}\n", "x.yaml").data["key"]


# The examples of the YAML 1.2.2 specification, 10.3.2, and the traps seen with PyYAML.
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("null", None),
        ("~", None),
        ("", None),
        ("true", True),
        ("False", False),
        ("TRUE", True),
        ("0", 0),
        ("-19", -19),
        ("0o7", 7),
        ("0x3A", 58),
        ("012", 12),
        ("0.", 0.0),
        ("-0.0", -0.0),
        (".5", 0.5),
        ("+12e03", 12000.0),
        ("-2E+05", -200000.0),
        ("1e-3", 0.001),
        ("5.0e-3", 0.005),
        ("no", "no"),
        ("on", "on"),
        ("y", "y"),
        ("nUll", "nUll"),
        ("5:30:5", "5:30:5"),
        ("1_000", "1_000"),
        ("0b11", "0b11"),
        ("2024-01-31", "2024-01-31"),
        ("1e", "1e"),
        (".", "."),
        ("=", "="),
        ('"1"', "1"),
        ("'true'", "true"),
        ('""', ""),
        ("٣", "٣"),
    ],
)
def test_scalars_follow_yaml_1_2(text: str, expected: object) -> None:
    assert value(text) == expected
    assert type(value(text)) is type(expected)


def test_pyyaml_alone_falls_into_the_traps() -> None:
    assert yaml.safe_load("[no, 5:30:5, 1e-3, 012]") == [False, 19805, "1e-3", 10]
    assert value("[no, 5:30:5, 1e-3, 012]") == ["no", "5:30:5", 0.001, 12]


def grown(rng: random.Random, depth: int = 0) -> Any:
    """Return random JSON data."""
    kinds = ["text", "int", "float", "word"] + (["list", "dict"] * 2 if depth < 5 else [])
    match rng.choice(kinds):
        case "text":
            letters = "ab 1:#-'\"\\/\n\té漢😀,[]{}&*!|>%@`~"
            return "".join(rng.choices(letters, k=rng.randrange(6)))
        case "int":
            return rng.randrange(-(2**62), 2**62)
        case "float":
            return rng.uniform(-1, 1) * 10.0 ** rng.randrange(-300, 300)
        case "word":
            return rng.choice([None, True, False, "no", "1e-3", "5:30:5", "null", "<<", "0x1", "="])
        case "list":
            return [grown(rng, depth + 1) for _ in range(rng.randrange(4))]
    return {f"k{index} {rng.random()}": grown(rng, depth + 1) for index in range(rng.randrange(4))}


@pytest.mark.parametrize("seed", range(60))
def test_every_json_document_is_read_as_json_reads_it(seed: int) -> None:
    data = {"top": grown(random.Random(seed))}
    for text in (
        json.dumps(data, ensure_ascii=False),
        json.dumps(data, ensure_ascii=False, indent=1),
    ):
        assert parse(text, "x").data == json.loads(text)


@pytest.mark.parametrize("seed", range(60))
def test_what_is_written_reads_back_the_same_here_and_in_pyyaml(seed: int) -> None:
    data = {"top": grown(random.Random(seed))}
    assert parse(dump(data), "x").data == data
    assert yaml.safe_load(dump(data)) == data
    assert dump(parse(dump(data), "x").data) == dump(data)


def places(node: yaml.Node, path: KeyPath = ()) -> dict[KeyPath, tuple[int, int]]:
    """Return where PyYAML's own composer sees keys and list items."""
    found: dict[KeyPath, tuple[int, int]] = {}
    pairs: list[tuple[Any, yaml.Node, yaml.Node]] = []
    if isinstance(node, yaml.MappingNode):
        pairs = [(key.value, key, value) for key, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        pairs = [(index, item, item) for index, item in enumerate(node.value)]
    for part, at, below in pairs:
        assert at.start_mark is not None
        found[(*path, part)] = (at.start_mark.line + 1, at.start_mark.column + 1)
        found |= places(below, (*path, part))
    return found


BLOCKS = "a:\n  - {b: 1,\n     c: [2, é]}\n  -\n    - d\n'e f': |\n  text\n\ng: x\n y\nh:\n"


@pytest.mark.parametrize("text", [GOOD, BLOCKS, BLOCKS.replace("\n", "\r\n")])
def test_places_are_those_of_pyyaml(text: str) -> None:
    document = parse(text, "x")
    expected = places(yaml.compose(text, Loader=yaml.SafeLoader))
    assert {path: at for path, at in document.positions.items() if path} == expected
    assert document.values["a" if text != GOOD else "seed",] == ((2, 3) if text != GOOD else (2, 7))
    assert len(document.lines) == text.count("\n") + 1


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_lines_are_counted_as_an_editor_does(ending: str) -> None:
    with pytest.raises(RecipeError, match=r"x:3:1: b: duplicate key \(first on line 2\)"):
        parse(f"a: 1{ending}b: 2{ending}b: 3{ending}", "x")


def test_a_byte_order_mark_moves_no_column(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert read_yaml(path).positions["a",] == (1, 1)
    assert read_yaml(path).lines[0] == "a: 1"


def test_all_faults_are_collected() -> None:
    text = "a: &x 1\nb: {c: 1, c: *x, 2: 3}\n<<: {d: !!set {e}}\nf: [.inf, .nan]\na: 1\ng: [\n"
    with pytest.raises(RecipeError) as caught:
        parse(text, "x")
    rows = [row for row in caught.value.message.splitlines() if row.startswith("x:")]
    assert [row.split(": ")[0] for row in rows] == [
        "x:1:4",
        "x:2:11",
        "x:2:14",
        "x:2:18",
        "x:3:1",
        "x:3:9",
        "x:4:5",
        "x:4:11",
        "x:5:1",
        "x:6:4",
    ]


def test_a_duplicate_keeps_the_first_value_for_the_checks_that_follow(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a: {b: 1}\na: {b: 2, c: 3}\n")
    document = scan(path)
    assert document.data == {"a": {"b": 1}}
    assert document.positions["a", "b"] == (1, 5)
    assert [fault.path for fault in document.faults] == [("a",)]


def test_twenty_levels_are_read_and_twenty_one_refused() -> None:
    deep = "a: " + "[" * 19 + "]" * 19
    assert parse(deep, "x").data["a"] == json.loads("[" * 19 + "]" * 19)
    with pytest.raises(RecipeError, match="deeper than 20"):
        parse("a: " + "[" * 20 + "]" * 20, "x")


def test_only_a_readable_file_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    (tmp_path / "file").write_text("")
    for path, said in [
        (tmp_path, "not a file"),
        (tmp_path / "pipe.yaml", "not a file"),
        (Path("/dev/zero"), "not a file"),
        (tmp_path / "none.yaml", "No such file"),
        (tmp_path / "loop.yaml", "symbolic link"),
        (tmp_path / "file" / "a.yaml", "Not a directory"),
        (tmp_path / "a\0b.yaml", "null byte"),
    ]:
        with pytest.raises(RecipeError, match=said) as caught:
            read_yaml(path)
        assert caught.value.exit_code == 3


def test_the_size_limit_is_256_kib(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"a: 1\n" + b"#" * (256 * 1024 - 5))
    assert read_yaml(path).data == {"a": 1}
    path.write_bytes(b"a: 1\n" + b"#" * (256 * 1024 - 4))
    with pytest.raises(RecipeError, match="larger than 256 KiB"):
        read_yaml(path)


def test_no_damage_to_a_file_is_a_bug() -> None:
    rng = random.Random(0)
    scraps = ["\0", "\t", "\n", "[", "{", "}", '"', "'", "&a ", "*a", "!x ", "---\n", "? ", ": "]
    scraps += [
        "%YAML 1.",
        "|",
        ">",
        "\\",
        '"\\U',
        "9" * 5000,
        "\u2028",
        "\ud800",
        "<<: ",
        "#",
        "- ",
    ]
    texts = [
        text for _, text, *_ in SYNTAX + NOT_PLAIN if isinstance(text, str) and len(text) < 9999
    ]
    for _ in range(600):
        text = rng.choice([GOOD, BLOCKS, *texts])
        for _ in range(rng.randrange(1, 5)):
            at = rng.randrange(len(text) + 1)
            text = text[:at] + rng.choice(scraps) + text[at + rng.randrange(3) :]
        try:
            assert isinstance(parse(text, "x").data, dict)
        except RecipeError as error:
            assert error.message.startswith("x:")
            assert error.message.isprintable() or "\n" in error.message
            assert all(row.isprintable() for row in error.message.split("\n"))


def test_a_fault_in_an_endless_line_shows_a_part_of_it() -> None:
    with pytest.raises(RecipeError) as caught:
        parse("a: '" + "x" * 100_000 + "'\nb: {c: '" + "y" * 5000 + "', c: 1}\n", "x")
    head, shown, caret = caught.value.message.splitlines()
    assert head == "x:2:5012: b.c: duplicate key"
    assert len(shown) <= 124
    assert shown[len(caret) - 1 :] == "c: 1}"


def test_a_thousand_faults_are_cut_off_and_counted() -> None:
    with pytest.raises(RecipeError, match="x: and 900 more faults"):
        parse("a: 1\n" * 1001, "x")


class Archive(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    url: str
    bytes: int


class Manifest(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    sources: list[Archive]
    mirrors: dict[str, Archive | None] = {}


def test_another_model_and_error_use_the_same_machinery() -> None:
    text = "sources:\n  - url: a\n    byte: 1\n  - {url: 3, bytes: 4}\nmirrors: {m: {urk: a}}\n"
    document = parse(text, "data.yaml", DataError)
    with pytest.raises(ValidationError) as caught:
        Manifest.model_validate_json(json.dumps(document.data))
    faults = faults_of(document, caught.value, Manifest)
    assert render(document, faults).splitlines()[::3] == [
        "data.yaml:2:5: sources[0].bytes: missing",
        "data.yaml:3:5: sources[0].byte: unknown key (did you mean bytes?)",
        "data.yaml:4:11: sources[1].url: must be text (is 3)",
        "data.yaml:5:11: mirrors.m.url: missing",
        "data.yaml:5:11: mirrors.m.bytes: missing",
        "data.yaml:5:15: mirrors.m.urk: unknown key (did you mean url?)",
    ]
    with pytest.raises(DataError) as refused:
        parse("a: 1\na: 2\n", "data.yaml", DataError)
    assert refused.value.exit_code == 4
