"""The store: keys that settings alone decide, artefacts that are whole or absent, locks."""

import hashlib
import json
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pipelines.disk import seal, store
from pipelines.errors import DataError, LockedError, MachineError

WAIT_S = 30


def child(code: str, *arguments: Path) -> subprocess.Popen[str]:
    """Start Python on a script that has `store`, `sys`, `time` and `path`, its first argument."""
    head = "import os, sys, time\nfrom pathlib import Path\nfrom pipelines.disk import store\n"
    return subprocess.Popen(
        [sys.executable, "-c", f"{head}path = Path(sys.argv[1])\n{code}", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def killed_once_it_says(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdout is not None
    assert process.stdout.readline().strip() == word, process.communicate(timeout=WAIT_S)
    process.send_signal(signal.SIGKILL)
    assert process.wait(WAIT_S) == -signal.SIGKILL
    process.communicate()


def listed(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_a_key_is_the_beginning_of_the_sha256_of_canonical_json() -> None:
    text = '{"a":{"x":"é","y":[1,2.5,null]},"b":true}'
    settings = {"b": True, "a": {"y": [1, 2.5, None], "x": "é"}}
    assert store.key(settings) == hashlib.sha256(text.encode()).hexdigest()[:12]


def test_a_key_does_not_depend_on_the_order_of_settings_but_on_every_value() -> None:
    key = store.key({"a": 1, "b": {"c": 2, "d": [3, 4]}})
    assert store.key({"b": {"d": [3, 4], "c": 2}, "a": 1}) == key
    others = (
        {"a": 1, "b": {"c": 2, "d": [4, 3]}},
        {"a": 1, "b": {"c": 2, "d": [3]}},
        {"a": "1", "b": {"c": 2, "d": [3, 4]}},
        {"a": 1, "b": {"c": 2, "d": [3, 4], "e": None}},
    )
    assert len({key, *map(store.key, others)}) == 5


def test_a_key_of_what_json_cannot_say_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        store.key({"lr": float("nan")})
    with pytest.raises(TypeError):
        store.key({"path": Path()})


def test_sha256_is_that_of_the_standard(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")  # FIPS 180-2, B.1
    found = store.sha256(tmp_path / "abc")
    assert found == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_home_is_the_variable_and_else_the_users_data_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AVSNN_HOME", "~/here")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert store.home() == tmp_path / "here"
    monkeypatch.delenv("AVSNN_HOME")
    assert store.home().name == "avsnn"


def test_a_published_file_or_folder_is_there_whole_and_alone(tmp_path: Path) -> None:
    store.publish_text(tmp_path / "a" / "b" / "text", "é\n")
    with store.publish(tmp_path / "a" / "folder") as part:
        (part / "deep").mkdir(parents=True)
        (part / "deep" / "x").write_bytes(b"x")
        assert not (tmp_path / "a" / "folder").exists()
    assert (tmp_path / "a" / "b" / "text").read_bytes() == "é\n".encode()
    assert listed(tmp_path / "a") == ["b", "b/text", "folder", "folder/deep", "folder/deep/x"]


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(3)])
@pytest.mark.parametrize("existing", [False, True])
def test_what_raises_while_writing_leaves_what_was_there_before(
    tmp_path: Path, error: BaseException, existing: bool
) -> None:
    path = tmp_path / "artefact"
    if existing:
        path.write_text("before")
    with pytest.raises(type(error)), store.publish(path) as part:
        part.write_text("half")
        raise error
    assert listed(tmp_path) == (["artefact"] if existing else [])
    assert not existing or path.read_text() == "before"


def test_what_raises_while_a_folder_is_made_leaves_the_folder_that_was_there(
    tmp_path: Path,
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "before").touch()
    with pytest.raises(ZeroDivisionError), store.publish(tmp_path / "folder") as part:
        part.mkdir()
        (part / "half").touch()
        raise ZeroDivisionError
    assert listed(tmp_path) == ["folder", "folder/before"]


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    for name in ("first", "second"):
        with store.publish(tmp_path / "folder") as part:
            part.mkdir()
            (part / name).touch()
    assert listed(tmp_path) == ["folder", "folder/second"]


def test_a_folder_that_stands_elsewhere_is_moved_into_place(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "x").write_text("x")
    store.publish_folder(tmp_path / "made", tmp_path / "deep" / "place")
    assert listed(tmp_path) == ["deep", "deep/place", "deep/place/x"]


def test_a_reader_sees_the_old_file_or_the_new_one_and_nothing_between(tmp_path: Path) -> None:
    path, size, seen, done = tmp_path / "file", 1 << 18, set[str](), threading.Event()
    store.publish_text(path, "a" * size)

    def read() -> None:
        while not done.is_set():
            seen.add(path.read_text())

    reader = threading.Thread(target=read)
    reader.start()
    for letter in "bcdefghijklmnop":
        store.publish_text(path, letter * size)
    done.set()
    reader.join(WAIT_S)
    assert seen <= {letter * size for letter in "abcdefghijklmnop"}
    with path.open() as held:
        store.publish_text(path, "new")
        assert held.read() == "p" * size


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    with (
        pytest.raises(MachineError, match=r"cannot write .*artefact: No space left") as caught,
        store.publish(tmp_path / "artefact") as part,
    ):
        part.symlink_to("/dev/full")
        part.write_text("x" * 100)
    assert "AVSNN_HOME" in caught.value.hint
    assert caught.value.exit_code == 5
    assert listed(tmp_path) == []


def test_a_file_that_outgrows_what_the_system_allows_is_one_line(tmp_path: Path) -> None:
    code = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    store.publish_text(path, "x" * 100_000)
except Exception as error:
    print(type(error).__name__, error)
"""
    out, err = child(code, tmp_path / "artefact").communicate(timeout=WAIT_S)
    assert out.startswith("MachineError cannot write"), err
    assert listed(tmp_path) == []


def test_a_parent_that_may_not_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o555)
    code = """
if os.geteuid() == 0:
    os.seteuid(65534)  # root may write everywhere
for attempt in (lambda: store.publish_text(path, "x"),
                lambda: store.lock(path, what="it").__enter__()):
    try:
        attempt()
    except Exception as error:
        print(type(error).__name__, error)
"""
    out, err = child(code, tmp_path / "locked" / "artefact").communicate(timeout=WAIT_S)
    write, lock = out.splitlines()
    assert write.startswith("MachineError cannot write"), err
    assert lock.startswith("MachineError cannot lock"), err
    assert listed(tmp_path) == ["locked"]


@pytest.mark.parametrize("below", ["artefact", "folder/artefact"])
def test_a_parent_that_is_a_file_is_one_line(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(MachineError, match="cannot write"):
        store.publish_text(tmp_path / "file" / below, "y")
    with (
        pytest.raises(MachineError, match="cannot lock"),
        store.lock(tmp_path / "file" / below, what="it"),
    ):
        pass
    assert (tmp_path / "file").read_text() == "x"


def test_a_writer_that_is_killed_leaves_nothing_visible_and_the_next_lock_cleans_up(
    tmp_path: Path,
) -> None:
    file, folder = tmp_path / "file.h5", tmp_path / "folder"
    file_code = """
with store.publish(path) as part:
    part.write_bytes(b"half")
    print("writing", flush=True)
    time.sleep(60)
"""
    folder_code = """
with store.publish(path) as part:
    part.mkdir()
    (part / "half").write_bytes(b"half")
    print("writing", flush=True)
    time.sleep(60)
"""
    for path, code in ((file, file_code), (folder, folder_code)):
        killed_once_it_says(child(code, path), "writing")
        assert not path.exists()
    left = [name for name in listed(tmp_path) if "/" not in name]
    assert len(left) == 2, "each killed writer leaves its temporary name"
    assert all(name.startswith(".") and name.endswith(".part") for name in left)
    (tmp_path / ".other.1.part").touch()
    for path in (file, folder):
        with store.lock(path, what="it"):
            pass
    kept = {".other.1.part", ".file.h5.lock", ".folder.lock"}
    assert set(listed(tmp_path)) <= kept
    assert (tmp_path / ".other.1.part").exists()


def test_leftovers_of_a_name_with_wildcards_are_only_its_own(tmp_path: Path) -> None:
    (tmp_path / ".a[12].7.part").touch()
    (tmp_path / ".a1.7.part").touch()
    store.remove_leftovers(tmp_path / "a[12]")
    assert listed(tmp_path) == [".a1.7.part"]


def test_a_lock_that_is_held_is_refused_at_once_and_free_when_its_holder_is_killed(
    tmp_path: Path,
) -> None:
    path = tmp_path / "run"
    code = """
with store.lock(path, what="it"):
    print("held", flush=True)
    sys.stdin.read(1)
    time.sleep(60)
"""
    holder = child(code, path)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    try:
        with (
            pytest.raises(LockedError, match="run x is being worked on") as caught,
            store.lock(path, what="run x"),
        ):
            pass
        assert caught.value.exit_code == 6
        assert caught.value.hint
    finally:
        holder.kill()
        holder.communicate(timeout=WAIT_S)
    with store.lock(path, what="run x"):
        pass


def test_a_second_process_waits_for_the_first(tmp_path: Path) -> None:
    path, order = tmp_path / "cache", tmp_path / "order"
    code = """
def say(text):
    print(text, file=sys.stderr, flush=True)
with store.lock(path, waiting=say, what="cache x"), Path(sys.argv[2]).open("a") as file:
    file.write("second ")
"""
    with store.lock(path, waiting=print, what="cache x"):
        second = child(code, path, order)
        assert second.stderr is not None
        assert "waiting for another process to finish cache x" in second.stderr.readline()
        assert second.poll() is None
        with order.open("a") as file:
            file.write("first ")
    assert second.wait(WAIT_S) == 0
    second.communicate()
    assert order.read_text() == "first second "


def test_a_lock_is_free_again_after_an_error(tmp_path: Path) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        store.lock(tmp_path / "x", what="it"),
    ):
        raise ZeroDivisionError
    with store.lock(tmp_path / "x", what="it"):
        pass


def test_json_comes_back_as_it_was_and_in_a_fixed_form(tmp_path: Path) -> None:
    content = {"b": [1, 2.5, None], "a": "é"}
    store.publish_json(tmp_path / "x.json", content)
    text = (tmp_path / "x.json").read_text(encoding="utf-8")
    assert json.loads(text) == store.read_json(tmp_path / "x.json") == content
    assert text == '{\n "b": [\n  1,\n  2.5,\n  null\n ],\n "a": "é"\n}\n'


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is damaged"),
        (b'{"a": 1', "is damaged"),
        (b"\xff\xfe", "is damaged"),
        (b"[" * 200_000, "is damaged"),
        (b" " * 5000, "larger than 4096 bytes"),
        (None, "is missing"),
    ],
)
def test_json_that_is_not_ours_is_one_line_naming_the_file(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    if content is not None:
        (tmp_path / "x.json").write_bytes(content)
    limit = 4096 if content and content.isspace() else 64 << 20
    with pytest.raises(DataError, match=said) as caught:
        store.read_json(tmp_path / "x.json", limit)
    assert "x.json" in caught.value.message
    assert caught.value.hint


def test_json_below_a_file_or_that_is_a_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "x.json", tmp_path):
        with pytest.raises(DataError, match="cannot read"):
            store.read_json(path)


def test_a_receipt_has_size_and_hash_of_each_file(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    seal.receipt(
        tmp_path, artefact="x", stage="test", made_from={"a": 1}, files={"abc": tmp_path / "abc"}
    )
    found = json.loads((tmp_path / "receipt.json").read_text())
    assert (found["stage"], found["made_from"]) == ("test", {"a": 1})
    assert found["files"] == {"abc": {"bytes": 3, "sha256": hashlib.sha256(b"abc").hexdigest()}}
    assert found["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert listed(tmp_path) == ["abc", "receipt.json"]


def test_what_a_writer_cannot_read_is_not_said_to_be_unwritable(tmp_path):
    """A file that is missing beside the target is the reader's fault, and keeps its own name."""
    with pytest.raises(FileNotFoundError, match="weights"), store.publish(tmp_path / "a.json"):
        (tmp_path / "weights").read_bytes()
    with pytest.raises(MachineError, match="cannot write /proc/x"):
        store.publish_text(Path("/proc/x"), "")
    with pytest.raises(MachineError, match="cannot write /proc/x/y"):
        store.publish_text(Path("/proc/x/y"), "")
