"""A result file that is damaged, another's, or nonsense is one line of error, never a traceback."""

import copy
import json
import shutil

import pytest

from tests.cli.conftest import in_process

WHOLE = (b"", b"[]", b"{}", b"null", b"3", b'"x"', b'{"n":', b"\xff\xfe\x00", b"NaN")
# by file: the verbs that read it; {} is the run
READERS = {
    "eval.json": (("evaluate",), ("compare", "{}"), ("report", "{}"), ("ls", "runs")),
    "noise-both_0to30by15dB.json": (
        ("noise-eval", "--snr", "0:30:15"),
        ("compare", "{}"),
        ("report", "{}"),
    ),
    "energy.json": (("energy", "--samples", "4"), ("report", "{}")),
    "explained/distances.json": (("explain",),),
    "trained.json": (("export",), ("report", "{}"), ("status", "quickstart")),
    "env.json": (("evaluate",), ("compare", "{}"), ("cache", "prune", "--unused", "--dry-run")),
    "metrics.jsonl": (("report", "{}"),),
}


@pytest.fixture(scope="module")
def full(undisturbed, tmp_path_factory):
    """A run of which everything has been asked."""
    home = tmp_path_factory.mktemp("full") / "home"
    shutil.copytree(undisturbed, home)
    for verb in (
        ("evaluate",),
        ("noise-eval", "--snr", "0:30:15"),
        ("energy", "--samples", "4"),
        ("explain",),
        ("export",),
    ):
        said = in_process(home, *verb)
        assert said.code == 0, said.err
    (run,) = (path.parent for path in (home / "runs").glob("*/trained.json"))
    return home, run


def places(node, path=()):
    """List where something is in nested JSON; of a list the first entry stands for all."""
    for key in list(node)[:12] if isinstance(node, dict) else range(min(len(node), 1)):
        yield (*path, key)
        if isinstance(node[key], dict | list):
            yield from places(node[key], (*path, key))


def changed(content, path):
    """Yield the content without what is at the path, and with nonsense there."""
    *way, last = path
    for value in (None, "x", 1e999, KeyError):
        whole = copy.deepcopy(content)
        node = whole
        for key in way:
            node = node[key]
        if value is KeyError:
            del node[last]
        else:
            node[last] = value
        yield json.dumps(whole).encode()


def said_well(said):
    one_line = said.err.count("error: ") == 1 and "bug" not in said.err
    return said.code == 0 or (said.code == 4 and one_line)


@pytest.mark.parametrize("name", READERS)
def test_whatever_is_in_a_result_file_is_one_line_or_a_result(full, name):
    home, run = full
    file = run / name
    whole = file.read_bytes()
    first = json.loads(whole.splitlines()[0] if name.endswith("l") else whole)
    broken = [
        *WHOLE,
        *(
            bad
            for path in list(places(first))[: 40 : 20 if name.endswith("l") else 7]
            for bad in changed(first, path)
        ),
    ]
    try:
        for i, content in enumerate(broken):
            file.write_bytes(content)
            verbs = READERS[name] if i < len(WHOLE) else READERS[name][:1]
            for verb in verbs:
                said = in_process(home, *(word.format(run.name) for word in verb))
                assert said_well(said), (verb, content[:300], said.err)
                if i < len(WHOLE) and verb[0] not in ("ls", "status"):
                    assert said.code == 4 and file.name in said.err, (verb, content, said)
                file.write_bytes(content)
    finally:
        file.write_bytes(whole)
