import gzip
import hashlib
import json
import os
import random
import socket
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path

import pytest
import trustme

from pipelines.download.download import fetch, take_from
from pipelines.download.http_open import user_agent
from pipelines.download.verify import Expected, hash_file, verify
from pipelines.errors import DataError, MachineError
from tests.unit.bad_server import Answer, BadServer

# RFC 1321, A.5, and FIPS 180-2, B.1
ABC_MD5 = "900150983cd24fb0d6963f7d28e17f72"
ABC_SHA256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

CONTENT = random.Random(1).randbytes(60_000)
RIGHT = Expected(bytes=len(CONTENT), sha256=hashlib.sha256(CONTENT).hexdigest())
OK = Answer(CONTENT)
OTHER = random.Random(2).randbytes(60_000)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[BadServer]:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    with BadServer().running() as running:
        yield running


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "raw" / "clips.bin"


def get(url: str | list[str], target: Path, expected: Expected = RIGHT, **options: object) -> None:
    urls = [url] if isinstance(url, str) else url
    fetch(urls, target, expected, **{"backoff_s": 0, "timeout_s": 5, **options})  # type: ignore[arg-type]


def part_of(target: Path) -> Path:
    return target.with_name(f".{target.name}.part")


def only_the_file(target: Path, content: bytes = CONTENT) -> bool:
    return target.read_bytes() == content and list(target.parent.iterdir()) == [target]


def test_hashes_are_those_of_the_standards(tmp_path: Path) -> None:
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    assert (hash_file(path, "md5"), hash_file(path, "sha256")) == (ABC_MD5, ABC_SHA256)
    verify(path, Expected(bytes=3, md5=ABC_MD5.upper(), sha256=ABC_SHA256))


@pytest.mark.parametrize(
    ("expected", "said"),
    [
        (Expected(bytes=4), ["3 bytes", "4"]),
        (Expected(md5="0" * 32), [ABC_MD5, "0" * 32]),
        (Expected(sha256="0" * 64), [ABC_SHA256, "0" * 64]),
        (Expected(md5=ABC_MD5, sha256="0" * 64), [ABC_SHA256, "0" * 64]),
        (Expected(content_md5="0" * 32), ["unreadable", "0" * 32]),
    ],
)
def test_a_mismatch_names_the_file_and_both_values_and_deletes_nothing(
    tmp_path: Path, expected: Expected, said: list[str]
) -> None:
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    with pytest.raises(DataError) as error:
        verify(path, expected)
    assert all(text in error.value.message for text in [str(path), *said])
    assert error.value.hint
    assert path.read_bytes() == b"abc"


def test_a_recompressed_gz_passes_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "abc.gz"
    path.write_bytes(gzip.compress(b"abc", 1))
    original = Expected(bytes=20, md5="0" * 32, sha256="0" * 64, content_md5=ABC_MD5)
    verify(path, original)
    path.write_bytes(gzip.compress(b"abd", 1))
    with pytest.raises(DataError, match="gunzipped content is 4911e516e5aa21d327512e0c8b197616"):
        verify(path, original)


def test_gunzipping_stops_where_a_bomb_would_go_on(tmp_path: Path) -> None:
    path, zeros = tmp_path / "bomb.gz", bytes(1 << 20)
    path.write_bytes(gzip.compress(zeros))
    size = path.stat().st_size
    with pytest.raises(DataError, match=f"more than {50 * size} bytes"):
        verify(path, Expected(bytes=size, content_md5=hashlib.md5(zeros).hexdigest()))


def test_a_plain_download_arrives_whole_under_our_name(server: BadServer, target: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    get(server.url("/f", OK), target, progress=lambda have, total: seen.append((have, total)))
    assert only_the_file(target)
    assert seen[-1] == (60_000, 60_000)
    assert server.requests[0][1]["User-Agent"] == user_agent()
    assert user_agent().startswith("avsnn/")


def test_100_random_cuts_end_in_the_right_bytes(server: BadServer, target: Path) -> None:
    draw = random.Random(3)
    cuts = [Answer(CONTENT, cut_after=draw.randint(1, 590)) for _ in range(100)]
    get(server.url("/f", *cuts, OK), target)
    assert only_the_file(target)
    assert len(server.requests) == 101
    begun = 0
    for cut, asked in zip(cuts, server.ranges()[1:], strict=True):
        begun += cut.cut_after or 0
        assert asked == f"bytes={begun}-"


def test_cuts_without_range_support_end_in_the_right_bytes(server: BadServer, target: Path) -> None:
    cuts = [Answer(CONTENT, cut_after=n, ignore_range=True) for n in (40_000, 10, 39_000)]
    get(server.url("/f", *cuts, Answer(CONTENT, ignore_range=True)), target)
    assert only_the_file(target)


def test_a_server_that_cuts_at_the_same_byte_is_given_up(server: BadServer, target: Path) -> None:
    with pytest.raises(DataError, match="cut at 100 of 60000 bytes"):
        get(server.url("/f", Answer(CONTENT, cut_after=100, ignore_range=True)), target)
    assert len(server.requests) == 5


def test_a_cut_in_a_chunked_body_is_seen(server: BadServer, target: Path) -> None:
    cut = Answer(CONTENT, chunked=True, cut_after=1000)
    get(server.url("/f", cut, Answer(CONTENT, chunked=True)), target, Expected())
    assert only_the_file(target)


def test_a_stall_is_cut_off_and_resumed(server: BadServer, target: Path) -> None:
    get(server.url("/f", Answer(CONTENT, stall_after=500), OK), target, timeout_s=0.3)
    assert only_the_file(target)
    assert server.ranges() == [None, "bytes=500-"]


def test_a_drip_that_is_no_progress_goes_to_the_next_mirror(
    server: BadServer, target: Path
) -> None:
    drip = server.url("/drip", Answer(CONTENT, drip_after=500, etag='"v0"'))
    begin = time.monotonic()
    get([drip, server.url("/fine", OK)], target, slow_after_s=0.1, attempts=2)
    assert time.monotonic() - begin < 3
    assert only_the_file(target)
    assert [path for path, _ in server.requests] == ["/drip", "/drip", "/fine"]


def test_a_drip_everywhere_is_a_clear_error_that_says_the_speed(
    server: BadServer, target: Path
) -> None:
    url = server.url("/drip", Answer(CONTENT, drip_after=0))
    with pytest.raises(
        DataError, match=r"\d+ bytes a second for 0\.\d s, at the last of 3"
    ) as said:
        get(url, target, slow_after_s=0.1, attempts=3)
    assert "resumes at" in said.value.hint
    assert part_of(target).stat().st_size > 0


def test_a_slow_start_is_not_held_against_a_server_that_speeds_up(
    server: BadServer, target: Path
) -> None:
    answer = Answer(CONTENT, drip_after=59_950)
    get(server.url("/f", answer), target, slow_after_s=5)
    assert only_the_file(target) and len(server.requests) == 1


def test_an_interrupt_leaves_a_part_that_the_next_call_resumes(
    server: BadServer, target: Path
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    url = server.url("/f", Answer(CONTENT, cut_after=700), OK)
    with pytest.raises(KeyboardInterrupt):
        get(url, target, progress=interrupt)
    assert part_of(target).read_bytes() == CONTENT[:700]
    assert not target.exists()
    get(url, target)
    assert only_the_file(target)
    assert server.ranges() == [None, "bytes=700-"]
    assert server.requests[1][1]["If-Range"] == '"v1"'


def test_a_finished_part_is_verified_without_asking_again(server: BadServer, target: Path) -> None:
    url = server.url("/f", Answer(status=404))
    target.parent.mkdir()
    part_of(target).write_bytes(CONTENT)
    note = target.with_name(f".{target.name}.part.json")
    note.write_text(json.dumps({"url": url, "etag": '"v1"'}))
    get(url, target)
    assert only_the_file(target)
    assert server.requests == []


def test_416_at_the_end_of_the_file_means_done(server: BadServer, target: Path) -> None:
    cut = Answer(CONTENT, claim=70_000)
    expected = Expected(sha256=RIGHT.sha256)
    get(server.url("/f", cut, OK), target, expected)
    assert only_the_file(target)
    assert server.ranges() == [None, "bytes=60000-"]


def test_a_shrunken_file_starts_from_zero(server: BadServer, target: Path) -> None:
    short = Answer(CONTENT[:500], ignore_if_range=True)
    get(server.url("/f", Answer(CONTENT, cut_after=900), short), target, Expected())
    assert only_the_file(target, CONTENT[:500])


def test_two_mirrors_are_never_mixed(server: BadServer, target: Path) -> None:
    first = server.url("/first", Answer(CONTENT, cut_after=900), Answer(status=404))
    get([first, server.url("/second", Answer(OTHER))], target, Expected())
    assert only_the_file(target, OTHER)


@pytest.mark.parametrize("ignore_if_range", [False, True])
def test_a_file_that_changes_half_way_is_never_mixed(
    server: BadServer, target: Path, ignore_if_range: bool
) -> None:
    changed = Answer(OTHER, etag='"v2"', ignore_if_range=ignore_if_range)
    get(server.url("/f", Answer(CONTENT, cut_after=900), changed), target, Expected())
    assert only_the_file(target, OTHER)


def test_without_a_validator_or_a_hash_nothing_is_resumed(server: BadServer, target: Path) -> None:
    url = server.url("/f", Answer(CONTENT, etag=None, cut_after=9), Answer(OTHER, etag=None))
    get(url, target, Expected())
    assert only_the_file(target, OTHER)
    assert server.ranges() == [None, None]


def test_a_weak_etag_gives_way_to_the_date(server: BadServer, target: Path) -> None:
    dated = {"Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
    cut = Answer(CONTENT, etag='W/"v1"', headers=dated, cut_after=900)
    get(server.url("/f", cut, Answer(CONTENT, etag='W/"v1"', headers=dated)), target)
    assert only_the_file(target)
    assert server.requests[1][1]["If-Range"] == dated["Last-Modified"]


@pytest.mark.parametrize("start", ["bytes 0-59999/60000", "bytes 901-59999/60000", "nonsense", ""])
def test_a_range_that_was_not_asked_for_is_not_appended(
    server: BadServer, target: Path, start: str
) -> None:
    crooked = Answer(CONTENT, headers={"Content-Range": start})
    get(server.url("/f", Answer(CONTENT, cut_after=900), crooked, OK), target, Expected())
    assert only_the_file(target)
    assert server.ranges() == [None, "bytes=900-", None]


def test_a_length_that_differs_from_the_manifest_is_refused_unread(
    server: BadServer, target: Path
) -> None:
    for size in (59_999, 60_001):
        answer = Answer(random.Random(4).randbytes(size))
        with pytest.raises(DataError, match=f"offers {size} bytes, the manifest says 60000"):
            get(server.url("/f", answer), target)
    assert not list(target.parent.iterdir())


def test_a_length_told_too_short_is_refused(server: BadServer, target: Path) -> None:
    with pytest.raises(DataError, match="offers 100 bytes"):
        get(server.url("/f", Answer(CONTENT, claim=100)), target)


def test_a_length_told_too_long_counts_as_a_cut(server: BadServer, target: Path) -> None:
    with pytest.raises(DataError, match="cut at 60000 of 60100 bytes"):
        get(server.url("/f", Answer(CONTENT, claim=60_100, ignore_range=True)), target, Expected())


@pytest.mark.parametrize("answer", [Answer(CONTENT, chunked=True), Answer(CONTENT, claim=-1)])
def test_a_body_without_length_ends_where_it_may_not_go_on(
    server: BadServer, target: Path, answer: Answer
) -> None:
    with pytest.raises(DataError, match="more bytes than promised"):
        get(server.url("/f", answer), target, Expected(bytes=59_999))
    with pytest.raises(DataError, match="more bytes than promised"):
        get(server.url("/f", answer), target, Expected(), max_bytes=1000)
    get(server.url("/f", answer), target)
    assert only_the_file(target)
    assert server.ranges() == [None] * 3


def test_nothing_of_a_body_that_is_too_long_is_resumed(server: BadServer, target: Path) -> None:
    content = random.Random(5).randbytes(1 << 20)
    with pytest.raises(DataError, match="more bytes than promised"):
        get(server.url("/f", Answer(content, claim=-1)), target, Expected(bytes=900_000))
    assert part_of(target).stat().st_size == 0


def test_a_body_beyond_max_bytes_is_refused_unread(server: BadServer, target: Path) -> None:
    with pytest.raises(DataError, match="60000"):
        get(server.url("/f", OK), target, Expected(), max_bytes=59_999)
    with pytest.raises(DataError, match="59999 allowed"):
        get(server.url("/f", OK), target, max_bytes=59_999)
    assert not list(target.parent.iterdir())


def test_wrong_bytes_are_kept_aside_and_never_resumed(server: BadServer, target: Path) -> None:
    url = server.url("/f", Answer(OTHER), OK)
    with pytest.raises(DataError) as error:
        get(url, target)
    wrong = target.with_name("clips.bin.wrong")
    said = [str(wrong), RIGHT.sha256, hashlib.sha256(OTHER).hexdigest(), url]
    assert all(str(text) in error.value.message for text in said)
    assert wrong.read_bytes() == OTHER
    assert list(target.parent.iterdir()) == [wrong]
    get(url, target)
    assert target.read_bytes() == CONTENT
    assert server.ranges() == [None, None]


@pytest.mark.parametrize(
    "bad",
    [
        Answer(status=404),
        Answer(status=403),
        Answer(OTHER),
        Answer(CONTENT[:-1]),
        Answer(status=302, headers={"Location": "/first"}),
        Answer(status=302, headers={"Location": "http://["}),
        Answer(status=302),
        Answer(status=204),
    ],
)
def test_the_next_mirror_is_asked(server: BadServer, target: Path, bad: Answer) -> None:
    get([server.url("/first", bad), server.url("/second", OK)], target)
    assert target.read_bytes() == CONTENT
    assert [path for path, _ in server.requests] == ["/first", "/second"]


def test_the_mirror_that_a_part_came_from_goes_first(server: BadServer, target: Path) -> None:
    first = server.url("/first", Answer(status=404), OK)
    second = server.url("/second", Answer(CONTENT, cut_after=800), Answer(status=404), OK)
    with pytest.raises(DataError, match="cannot download"):
        get([first, second], target)
    get([first, second], target)
    assert only_the_file(target)
    assert (server.requests[-1][0], server.ranges()[-1]) == ("/second", "bytes=800-")


def test_when_all_fail_the_error_says_what_where_why_and_what_to_do(
    server: BadServer, target: Path
) -> None:
    gone, cut = server.url("/gone"), server.url("/cut", Answer(CONTENT, cut_after=50), Answer())
    server.answers["/cut"][1] = Answer(status=500)
    with pytest.raises(DataError) as error:
        get([gone, cut], target)
    message = error.value.message
    assert "clips.bin" in message
    assert f"{gone}: HTTP 404 Not Found" in message
    assert f"{cut}: HTTP 500 Internal Server Error" in message
    assert "\n" not in message
    assert "resumes at 50 bytes" in error.value.hint
    assert "--from" in error.value.hint


def test_no_address_at_all_is_a_clear_error(target: Path) -> None:
    with pytest.raises(DataError, match="no address"):
        get([], target)


@pytest.mark.usefixtures("server")
def test_nobody_listening_is_a_clear_error(target: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(DataError, match="refused"):
            get(f"http://127.0.0.1:{taken.getsockname()[1]}/f", target)


def test_waits_double_and_stay_below_a_minute(server: BadServer, target: Path) -> None:
    waits: list[float] = []
    with pytest.raises(DataError, match="503"):
        get(
            server.url("/f", Answer(status=503)),
            target,
            attempts=9,
            backoff_s=0.5,
            sleep=waits.append,
        )
    assert waits == [0.5, 1, 2, 4, 8, 16, 32, 60]


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_honoured_and_bounded(server: BadServer, target: Path, status: int) -> None:
    texts = ["7", "3600", formatdate(0, usegmt=True), formatdate(4e9, usegmt=True), "soon", "-1"]
    busy = [Answer(status=status, headers={"Retry-After": text}) for text in texts]
    waits: list[float] = []
    url = server.url("/f", *busy, OK)
    get(url, target, attempts=9, backoff_s=0.5, sleep=waits.append)
    assert waits == [7, 60, 0, 60, 8, 16]
    assert only_the_file(target)


def test_redirects_lead_to_the_file(server: BadServer, target: Path) -> None:
    server.url("/b c", Answer(status=307, headers={"Location": "d"}))
    server.url("/b%20c", Answer(status=307, headers={"Location": "d"}))
    server.url("/d", OK)
    get(server.url("/a", Answer(status=302, headers={"Location": "/b c"})), target)
    assert only_the_file(target)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A key for 127.0.0.1, its certificate and the authority that nobody else trusts."""
    path, authority = tmp_path / "certificate.pem", trustme.CA()
    path.write_bytes(
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.bytes()
        + authority.cert_pem.bytes()
    )
    return path


def test_a_redirect_from_https_to_http_is_refused(
    server: BadServer, target: Path, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever sits on the way could put another file there, and without a hash it was kept."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    plain = server.url("/plain", Answer(CONTENT))
    with BadServer(certificate).running() as safe:
        whole = safe.url("/whole", Answer(CONTENT))
        to_plain = safe.url("/a", Answer(status=302, headers={"Location": plain}))
        around = safe.url("/b", Answer(status=301, headers={"Location": to_plain}))
        for url in (to_plain, around):
            with pytest.raises(DataError, match=r"redirects from https to http://127"):
                fetch([url], target, Expected())
            assert not server.requests and not target.exists()
        up = server.url("/up", Answer(status=302, headers={"Location": whole}))
        fetch([up], target, Expected())
    assert target.read_bytes() == CONTENT


def test_a_certificate_that_is_not_trusted_is_refused_at_once(
    target: Path, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    waits: list[float] = []
    with BadServer(certificate).running() as safe:
        url = safe.url("/f", Answer(CONTENT))
        with pytest.raises(DataError, match=r"certificate is not trusted \(self.signed") as caught:
            fetch([url], target, Expected(), sleep=waits.append)
        assert "SSL_CERT_FILE" in caught.value.message and not waits and not target.exists()
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        fetch([url], target, Expected())
    assert target.read_bytes() == CONTENT


def test_a_circle_of_redirects_is_named(server: BadServer, target: Path) -> None:
    server.url("/b", Answer(status=301, headers={"Location": "/a"}))
    with pytest.raises(DataError, match="circle"):
        get(server.url("/a", Answer(status=302, headers={"Location": "/b"})), target)
    assert len(server.requests) == 2


@pytest.mark.parametrize(("hops", "arrives"), [(5, True), (6, False)])
def test_at_most_five_redirects(server: BadServer, target: Path, hops: int, arrives: bool) -> None:
    server.url("/0", OK)
    for hop in range(1, hops + 1):
        url = server.url(f"/{hop}", Answer(status=302, headers={"Location": f"/{hop - 1}"}))
    if arrives:
        get(url, target)
        assert only_the_file(target)
    else:
        with pytest.raises(DataError, match="more than 5 redirects"):
            get(url, target)


@pytest.mark.parametrize("scheme", ["file://", "ftp://127.0.0.1", "data:,", "gopher://127.0.0.1"])
def test_only_http_addresses_are_opened(
    server: BadServer, target: Path, tmp_path: Path, scheme: str
) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(CONTENT)
    bad = f"{scheme}{secret}"
    for url in (bad, server.url("/f", Answer(status=302, headers={"Location": bad}))):
        with pytest.raises(DataError, match="not an http or https address"):
            get(url, target)
    assert len(server.requests) <= 1


@pytest.mark.parametrize("url", ["http://", "http://[::1", "http://127.0.0.1:x/f", "f", ""])
def test_what_is_no_address_is_refused_at_once(target: Path, url: str) -> None:
    def sleep(_: float) -> None:
        raise AssertionError("retried")

    with pytest.raises(DataError, match="address"):
        get(url, target, sleep=sleep)


@pytest.mark.parametrize("name", ["..", "a\\b", "a\0b", "C:x", "a\nb", "x" * 300])
def test_names_with_tricks_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="not a plain file name"):
        fetch([], tmp_path / name, Expected())
    with pytest.raises(DataError, match="not a plain file name"):
        take_from(tmp_path, f"a/{name}", tmp_path / "b", Expected())


def test_a_full_disk_is_told_before_the_start(server: BadServer, target: Path) -> None:
    url = server.url("/f", Answer(CONTENT, claim=1 << 62))
    with pytest.raises(MachineError, match=rf"needs {1 << 62} bytes.* has \d+ free"):
        get(url, target, Expected(), max_bytes=1 << 63)
    assert len(server.requests) == 1
    with pytest.raises(MachineError, match=rf"needs {1 << 62} bytes.* has \d+ free"):
        get(url, target, Expected(bytes=1 << 62), max_bytes=1 << 63)
    assert len(server.requests) == 1


def test_a_place_that_cannot_be_written_is_the_machine_s_fault(
    server: BadServer, tmp_path: Path
) -> None:
    (tmp_path / "raw").write_text("a file where the folder should be")
    with pytest.raises(MachineError, match="cannot be written"):
        get(server.url("/f", OK), tmp_path / "raw" / "clips.bin")


def test_a_recompressed_mirror_is_downloaded(server: BadServer, target: Path) -> None:
    data = CONTENT[:500] * 10
    first, second = gzip.compress(data, 9, mtime=1), gzip.compress(data, 1, mtime=2)
    expected = Expected(
        len(first), md5=hashlib.md5(first).hexdigest(), content_md5=hashlib.md5(data).hexdigest()
    )
    assert len(first) != len(second)
    cut = Answer(second, cut_after=100)
    get(server.url("/f", cut, Answer(second)), target, expected)
    assert only_the_file(target, second)


def test_a_mirror_folder_is_copied_only_when_right(tmp_path: Path, target: Path) -> None:
    mirror = tmp_path / "mirror"
    (mirror / "audio").mkdir(parents=True)
    source = mirror / "audio" / "clips.bin"
    assert take_from(mirror, "audio/clips.bin", target, RIGHT) is False
    source.write_bytes(OTHER)
    with pytest.raises(DataError) as error:
        take_from(mirror, "audio/clips.bin", target, RIGHT)
    assert str(source) in error.value.message
    assert source.read_bytes() == OTHER
    assert not target.exists()
    source.write_bytes(CONTENT)
    assert take_from(mirror, "audio/clips.bin", target, RIGHT) is True
    assert only_the_file(target)
    target.write_bytes(b"")
    assert source.read_bytes() == CONTENT


@pytest.mark.parametrize("relative", ["", "/etc/hostname", "../secret", "a/../../secret"])
def test_a_mirror_folder_gives_nothing_from_outside(tmp_path: Path, relative: str) -> None:
    (tmp_path / "secret").write_bytes(b"abc")
    (tmp_path / "mirror" / "a").mkdir(parents=True)
    with pytest.raises(DataError, match="not a"):
        take_from(tmp_path / "mirror", relative, tmp_path / "out", Expected())
    assert not (tmp_path / "out").exists()
