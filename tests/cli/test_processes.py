"""Processes that are stopped, that meet, or whose output goes nowhere."""

import json
import re
import shutil
import signal
import subprocess
import sys

import pytest

from pipelines.disk import store
from tests.cli.conftest import SMALL, Started, environment, in_process, own_process

GOES_ON = "stopped; the same command goes on from here"


class Chain:
    """One run that is stopped by SIGTERM, then by Ctrl-C, and then left to end."""

    def __init__(self, home):
        in_process(home, "status", *SMALL)  # torch is imported before time matters
        first = Started(home, "train", *SMALL)
        first.wait_until(lambda: self.began(home))
        self.second_one = in_process(home, "train", *SMALL)
        self.evaluating = in_process(home, "evaluate", "quickstart")
        self.terminated = first.end(signal.SIGTERM), first.err.splitlines()
        self.checkpoints = [path.name for path in home.glob("runs/*/checkpoint-*")]
        self.listed = json.loads(in_process(home, "ls", "runs", "--json").out)["runs"]
        self.status = json.loads(in_process(home, "status", *SMALL, "--json").out)
        second = Started(home, "train", *SMALL)
        second.wait_until(lambda: "prepare: hit" in second.err)
        self.interrupted = second.end(signal.SIGINT), second.err.splitlines()
        self.ended = own_process(home, "train", *SMALL)
        (self.run,) = home.glob("runs/quickstart-*")

    @staticmethod
    def began(home):
        return any(home.glob("runs/*/metrics.jsonl"))


@pytest.fixture(scope="module")
def chain(undisturbed, tmp_path_factory):
    home = tmp_path_factory.mktemp("stopped") / "home"
    for name in ("manifests", "cache"):
        shutil.copytree(undisturbed / name, home / name)
    return Chain(home)


def test_sigterm_saves_a_checkpoint_and_says_how_to_go_on(chain):
    code, said = chain.terminated
    assert code == 143 and said[-1] == GOES_ON
    assert len(chain.checkpoints) == 1
    assert re.fullmatch(r"checkpoint-0{5}\d-\d{6}", chain.checkpoints[0])
    assert not any("Traceback" in line for line in said)


def test_a_stopped_run_is_said_to_be_unfinished(chain):
    assert [row["state"] for row in chain.listed] == ["not finished"]
    (row,) = [row for row in chain.status if row["stage"] == "train"]
    assert row["state"] == "miss"
    assert re.fullmatch(r"quickstart-\w{12} stopped after [01] of 2 epochs", row["detail"])


def test_ctrl_c_ends_with_130_and_says_how_to_go_on(chain):
    code, said = chain.interrupted
    assert code == 130 and said[-1] == GOES_ON
    assert not any("Traceback" in line for line in said)


def test_a_run_stopped_twice_ends_like_one_that_never_was(chain, undisturbed):
    assert chain.ended.code == 0, chain.ended.err
    whole = undisturbed / "runs" / chain.run.name

    def history(run):
        records = map(json.loads, (run / "metrics.jsonl").open())
        return [{k: v for k, v in record.items() if k != "seconds"} for record in records]

    assert history(chain.run) == history(whole) and len(history(whole)) == 2
    assert store.sha256(chain.run / "best.safetensors") == store.sha256(whole / "best.safetensors")


def test_the_log_tells_of_both_stops(chain):
    lines = (chain.run / "run.log").read_text().splitlines()
    assert [line[20:] for line in lines].count("stopped") == 2


def test_two_processes_do_not_train_one_run(chain):
    said = chain.second_one
    assert said.code == 6 and said.out == ""
    assert re.fullmatch(
        f"error: run {chain.run.name} is being worked on by another process: process [0-9]+ on "
        r"[\w-]+ since [0-9-]+ [0-9:]+\n"
        "hint:  wait for it to finish, then run the same command again\n",
        said.err,
    )
    assert chain.evaluating.code == 6


def waits(process):
    return "waiting for another process to finish digits-av-" in process.err


def test_two_processes_prepare_one_cache_once(home, undisturbed):
    plan = json.loads(in_process(home, "prepare", "quickstart", "--dry-run", "--json").out)
    clips, *caches = (home / row["path"] for row in plan)
    with store.lock(clips, what="the clips"):
        both = [Started(home, "prepare", "quickstart") for _ in range(2)]
        for process in both:
            process.wait_until(lambda process=process: waits(process))
    assert [process.end() for process in both] == [0, 0]
    made = "".join(process.err for process in both)
    assert made.count(" clips: 1258 train, 270 validation, 269 test\n") == 1
    assert made.count(" prepare: done, ") == 2
    for cache in caches:
        other = undisturbed / cache.relative_to(home)
        assert sorted(p.name for p in cache.iterdir()) == sorted(p.name for p in other.iterdir())
        for file in cache.glob("*.h5"):
            assert store.sha256(file) == store.sha256(other / file.name)
            # the receipt is newer than every file: nobody has built after it
            assert file.stat().st_mtime_ns < (cache / "receipt.json").stat().st_mtime_ns
    assert not list(home.rglob("*.part"))


def test_a_terminated_prepare_leaves_nothing_half_made(home, undisturbed):
    process = Started(home, "prepare", "quickstart")
    process.wait_until(lambda: " clips: " in process.err)
    assert process.end(signal.SIGTERM) == 143
    assert process.err.splitlines()[-1] == GOES_ON and "Traceback" not in process.err
    assert not list(home.rglob("*.part"))
    assert in_process(home, "prepare", "quickstart").code == 0
    for file in home.glob("cache/*/*/*.h5"):
        assert store.sha256(file) == store.sha256(undisturbed / file.relative_to(home))


def test_who_waits_for_a_lock_can_be_stopped(home):
    plan = json.loads(in_process(home, "prepare", "quickstart", "--dry-run", "--json").out)
    with store.lock(home / plan[0]["path"], what="the clips"):
        process = Started(home, "prepare", "quickstart")
        process.wait_until(lambda: waits(process))
        assert process.end(signal.SIGINT) == 130
    assert process.err.splitlines()[-1] == GOES_ON


def test_a_reader_that_goes_away_is_no_error(home):
    process = subprocess.Popen(
        [sys.executable, "-m", "avsnn_cli", "ls"],
        env=environment(home),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.close()
    assert process.stderr.read() == "" and process.wait(60) == 0
    process.stderr.close()


def test_a_result_that_cannot_be_written_is_an_error(home):
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run(
            [sys.executable, "-m", "avsnn_cli", "ls"],
            env=environment(home),
            text=True,
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    assert done.returncode == 5
    assert done.stderr == "error: cannot write the result: No space left on device\n"
