"""A report is one file that needs nothing else and says what compare says; no text is markup."""

import base64
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from PIL import Image

from avsnn_cli.comparing import report
from avsnn_cli.comparison_tables import as_text
from avsnn_cli.render import TerminalReporter
from pipelines.errors import DataError, UsageError
from pipelines.recipe import recipe as recipes
from pipelines.reports import html_page
from pipelines.reports.compare import compare, read_run
from tests.unit.test_compare import result

VOID = {"meta", "img", "br", "hr", "link", "input", "source"}
HOSTILE = "<script>alert(\"1\")</script> & '<b onclick=x>'"


class Page(HTMLParser):
    """What a browser sees: elements, texts, pictures, tables; fails where a tag does not close."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.texts, self.pictures, self.rows = [], [], [], [], []
        self.dark, self.unbroken, self.goes_on = [], [], False
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.goes_on = self.goes_on and tag == "span"
        if tag not in VOID:
            self.open.append(tag)
        if tag == "span":  # a part of a text, and no text of its own
            self.unbroken.append("")
        if tag == "source":
            self.dark.append(dict(attributes))
        if tag == "img":
            self.pictures.append(dict(attributes))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        self.goes_on = self.goes_on and tag == "span"

    def handle_data(self, data):
        around = [tag for tag in ["", *self.open] if tag != "span"][-1]
        if self.open and self.open[-1] == "span":
            self.unbroken[-1] += data
        if self.goes_on:
            self.texts[-1] = (around, self.texts[-1][1] + data)
        else:
            self.texts.append((around, data))
        self.goes_on = True
        if around in ("td", "th"):
            self.rows[-1][-1] += data

    def of(self, tag):
        return [text for where, text in self.texts if where == tag]


def make_run(home, name, hits, *, seed=0, noise=(), alpha=1.5, classes=(), epochs=0, **more):
    """Write the files of an evaluated run, right on the first `hits` of ten clips.

    epochs: without them there is no course of training to draw.
    """
    run = home / "runs" / f"{name.rpartition('/')[2]}-{alpha}-{seed}"
    run.mkdir(parents=True)
    plain = yaml.safe_load(recipes.find("quickstart").read_text())
    plain["model"]["alpha"], plain["seed"] = alpha, seed
    (run / "recipe.yaml").write_text(f"# <i>{name}\n{yaml.safe_dump(plain)}")
    environment = {
        "name": name,
        "caches": ["stft-1"],
        "versions": {"torch": "9.9"},
        "machine": {"processor": "P", "cuda": None},
    }
    (run / "env.json").write_text(json.dumps(environment))
    found = result(name, hits, seed=seed).evaluation
    rows = zip(classes or ("x", "y"), found["per_class"], strict=True)
    found["per_class"] = [row | {"class": name} for name, row in rows]
    found |= more
    said = {
        "selected": {"epoch": 3},
        "rule": "best-validation",
        "sha256": "0" * 64,
        "start_from": [],
        "parameters": 1234,
    }
    (run / "trained.json").write_text(json.dumps(said))
    (run / "eval.json").write_text(json.dumps(found))
    for modality, points in dict(noise).items():
        listed = [
            {"snr_db": d, "accuracy": a, "wilson_low": 0.0, "wilson_high": 1.0}
            for d, a in [(None, 0.5), *points.items()]
        ]
        levels = sorted(points)
        step = levels[1] - levels[0] if len(levels) > 1 else 5
        asked = {"start": float(levels[0]), "stop": float(levels[-1]), "step": float(step)}
        content = {
            "noise": {"modality": modality, "power": "sample", "seed": 0, "snr_db": asked},
            "noisy_inputs": ["audio"],
            "points": listed,
        }
        (run / f"noise-{modality}.json").write_text(json.dumps(content))
    if epochs:
        history = [
            {"epoch": e + 1, "train_loss": 1.0, "validation_accuracy": 0.5} for e in range(epochs)
        ]
        (run / "metrics.jsonl").write_text("\n".join(map(json.dumps, history)))
    return run


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("AVSNN_HOME", str(tmp_path))
    return tmp_path


def written(*names, output=None):
    said = report([str(name) for name in names], output, TerminalReporter(quiet=True))
    return said, Path(said["report"]).read_text(encoding="utf-8")


def make_three(home):
    """Two seeds of one system and one of another, with noise on both inputs and on the audio."""
    both = {"classes": ("x", "y"), "epochs": 2}
    noise = {"both": {0: 0.4, 10: 0.6}, "audio": {0: 0.5}}
    return [
        make_run(home, "d/a", 8, noise=noise, **both),
        make_run(home, "d/a", 6, seed=1, noise=noise, **both),
        make_run(home, "d/b", 5, **both),
    ]


@pytest.fixture(scope="module")
def of_three(tmp_path_factory):
    """Those runs, and the report of them; not to be changed."""
    home = tmp_path_factory.mktemp("three")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AVSNN_HOME", str(home))
        runs = make_three(home)
        return home, runs, written(*runs)[1]


def test_a_report_needs_no_network_and_runs_nothing(of_three):
    _, _, text = of_three
    page = Page(text)
    assert not {tag for tag, _ in page.tags} & {
        "script",
        "link",
        "iframe",
        "object",
        "base",
        "form",
    }
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on") or name == "href"]
        assert tag == "img" or "src" not in attributes
    without_pictures = re.sub(r'base64,[^"]+', "", text)
    assert not re.search(r"https?:|//|@import|url\(|@font-face", without_pictures)
    policies = [a["content"] for _, a in page.tags if "http-equiv" in a]
    assert len(policies) == 1 and policies[0].startswith("default-src 'none';")
    assert "prefers-color-scheme: dark" in text


def test_every_picture_is_a_png_and_says_what_it_shows(of_three):
    page = Page(of_three[2])
    for picture in page.pictures:
        kind, data = picture["src"].split(",", 1)
        assert kind == "data:image/png;base64" and len(picture["alt"]) > 20
        with Image.open(io.BytesIO(base64.b64decode(data, validate=True))) as image:
            image.load()
            assert image.format == "PNG"
    shown = [picture["alt"].split(":")[0].split(",")[0] for picture in page.pictures]
    assert shown == [
        "Line chart of test accuracy over SNR with noise on every input",
        "Line chart of test accuracy over SNR with noise on the audio input",
        "Bar chart of test accuracy",
        *["Confusion matrix", "Line chart of training loss and validation accuracy by epoch"] * 2,
    ]
    assert "80.00% of 10 test clips" in page.pictures[3]["alt"]  # the first seed
    assert len(page.of("figcaption")) == len(shown)


def test_every_picture_is_there_for_a_dark_screen_too_and_the_light_one_is_white(of_three):
    page = Page(of_three[2])
    assert len(page.dark) == len(page.pictures)
    tags = [tag for tag, _ in page.tags if tag in ("picture", "source", "img")]
    assert tags == ["picture", "source", "img"] * len(page.pictures)
    for dark, light in zip(page.dark, page.pictures, strict=True):
        assert dark["media"] == "(prefers-color-scheme: dark)"
        grounds, sizes = zip(*map(ground_and_size, (light["src"], dark["srcset"])), strict=True)
        assert grounds == ((255, 255, 255), (0x16, 0x16, 0x16)) and len(set(sizes)) == 1
    assert "--ground: #161616" in of_three[2]  # the page's own


def ground_and_size(url):
    kind, data = url.split(",", 1)
    assert kind == "data:image/png;base64"
    with Image.open(io.BytesIO(base64.b64decode(data, validate=True))) as image:
        return image.convert("RGB").getpixel((0, 0)), image.size


def test_a_number_and_its_deviation_do_not_break_over_lines(of_three):
    page = Page(of_three[2])
    assert {"70.00 ± 14.14", "mean ± sd"} <= set(page.unbroken)
    everywhere = "".join(data for _, data in page.texts)
    assert everywhere.count("±") == len(page.unbroken) >= 5
    assert ".unbroken { white-space: nowrap; }" in of_three[2]


def test_a_deviation_in_a_hostile_text_is_text():
    page = Page(html_page.page("a", [html_page.table([{"x": f"{HOSTILE} ± {HOSTILE}"}])]))
    assert page.of("td") == [f"{HOSTILE} ± {HOSTILE}"] and len(page.unbroken) == 1
    assert not {tag for tag, _ in page.tags} & {"script", "b"}


def test_the_page_is_as_wide_as_its_screen_and_what_is_wider_scrolls_in_itself(of_three):
    page = Page(of_three[2])
    places = [tag for tag, a in page.tags if a.get("class") == "wide" or tag == "table"]
    assert places == ["div", "table"] * (len(places) // 2)
    assert {a.get("class") for tag, a in page.tags if tag == "div"} == {"wide", "pictures"}
    for rule in (".wide { overflow-x: auto; }", "img { display: block; width: 100%;",
                 "pre { overflow-x: auto;", "minmax(min(100%, 26rem), 1fr)"):  # fmt: skip
        assert rule in of_three[2]


def test_the_numbers_are_those_of_compare(of_three):
    _, runs, text = of_three
    page = Page(text)
    rows = compare([read_run(run) for run in runs])
    (head, *body) = [line.split(",") for line in as_text(rows, "csv").splitlines()]
    assert page.rows[:3] == [head, *body]
    assert body[0][:4] == ["d/a", "70.00 ± 14.14", "2", "10"]
    *_, notes = as_text(rows, "markdown").split("\n\n")
    assert page.of("li") == notes.splitlines()


def test_the_same_runs_give_the_same_bytes_in_any_order_in_any_home(of_three, home):
    again = make_three(home)
    _, text = written(*reversed(again), again[0])
    assert text == of_three[2]
    assert str(home) not in text


def test_no_text_of_a_run_becomes_markup(home):
    run = make_run(home, "mine", 8, epochs=1, classes=(HOSTILE, 'a"b'))
    environment = json.loads((run / "env.json").read_text())
    hostile = {"name": HOSTILE, "versions": {HOSTILE: "\x01\udc80" + HOSTILE}, "caches": [HOSTILE]}
    (run / "env.json").write_text(json.dumps(environment | hostile))
    said, text = written(run)
    page = Page(text)
    assert not {tag for tag, _ in page.tags} & {"script", "b", "i"}
    assert all(set(a) <= {"src", "alt"} for tag, a in page.tags if tag == "img")
    assert all(set(a) == {"media", "srcset"} for tag, a in page.tags if tag == "source")
    assert page.of("h3") == [HOSTILE] and HOSTILE in "".join(page.of("td"))
    assert "<i>mine" in "".join(page.of("pre")) and "\x01" not in text
    assert said["systems"] == [HOSTILE]


def test_every_piece_escapes_its_texts_and_no_piece_is_escaped_twice():
    pieces = [
        html_page.element("p", HOSTILE, "note"),
        html_page.listed([HOSTILE]),
        html_page.table([{HOSTILE: HOSTILE}]),
        html_page.facts({HOSTILE: HOSTILE}),
        html_page.picture(b"png", HOSTILE, HOSTILE),
        html_page.folded(HOSTILE, html_page.element("pre", HOSTILE), HOSTILE),
    ]
    page = Page(html_page.page(HOSTILE, [*pieces, HOSTILE]))
    assert not {tag for tag, _ in page.tags} & {"script", "b"}
    assert [picture["alt"] for picture in page.pictures] == [HOSTILE]
    texts = ["title", "p", "li", "th", "td", "figcaption", "summary", "pre"]
    assert {tag: set(page.of(tag)) for tag in texts} == {tag: {HOSTILE} for tag in texts}
    # a text that no piece made, in the page and behind a click, is shown as it is
    assert HOSTILE in page.of("body")[-1] and HOSTILE in page.of("details")[-1]


def test_a_page_begins_as_what_may_be_replaced_begins(tmp_path):
    page, other = tmp_path / "page.html", tmp_path / "other.html"
    page.write_text(html_page.page("a", []))
    other.write_text(page.read_text().replace("default-src 'none'", "default-src *"))
    assert html_page.is_ours(page) and not html_page.is_ours(other)


def test_one_numeric_setting_makes_a_box_plot_and_two_do_not(home):
    runs = [make_run(home, "a", 5 + s, seed=s, alpha=alpha) for alpha in (0.5, 1.5) for s in (0, 1)]
    page = Page(written(*runs)[1])
    assert "Accuracy by model.alpha" in page.of("h2")
    (box,) = [p["alt"] for p in page.pictures if p["alt"].startswith("Box plot")]
    assert "0.5: 2 seeds, 1.5: 2 seeds" in box
    with_other = Page(written(*runs, make_run(home, "b", 5))[1])
    assert not [p for p in with_other.pictures if p["alt"].startswith("Box plot")]


def test_one_system_alone_has_no_bars_and_is_the_title(home):
    page = Page(written(make_run(home, "alone", 8))[1])
    assert page.of("h1") == ["alone on d (p)"] == page.of("title")
    assert "Systems side by side" not in page.of("h2")


def test_azimuths_energy_and_explanations_are_shown_where_they_are(home):
    azimuths = {f"c{i}": 10.0 * i for i in range(10)}
    true = {**azimuths, "c9": 70.0, "c8": 92.5, "c7": 80.0, "c0": 360.0 - 10.0}
    # 20, 12.5, 10 and 10 degrees off on the circle, six of ten right
    doa = {"n": 10, "mae_deg": 5.25, "below_2_5_deg": 0.6, "up_to_5_deg": 0.6}
    run = make_run(home, "a", 8, doa=doa, azimuths_deg=azimuths, true_azimuths_deg=true)
    other = make_run(home, "a", 8, seed=1)
    energy = {
        "label": "theoretical, compute-only",
        "n": 7,
        "asked": 64,
        "seed": 1,
        "uncounted": ["odd"],
        "layers": [
            {
                "name": "conv<1>",
                "operation": "conv2d",
                "input": "binary",
                "density": 0.25,
                "macs": 0.0,
                "acs": 2000.0,
                "energy_pj": {"float32": 1800.0},
            }
        ],
        "total": {"macs": 0.0, "acs": 2000.0, "energy_pj": {"float32": 1800.0}},
        "ann_twin": {"macs": 4000.0, "energy_pj": {"float32": 18400.0}},
    }
    (other / "energy.json").write_text(json.dumps(energy))
    (run / "explained").mkdir()
    numbers = {"within": 0.125, "by_class": [[1, 2]], "of": {"n": 12, "none": None}}
    (run / "explained" / "distances.json").write_text(json.dumps(numbers))
    Image.new("RGB", (3, 2)).save(run / "explained" / "cam.png")
    Image.new("RGB", (3, 2), "white").save(run / "explained" / "raster.png")
    (run / "explained" / "dark").mkdir()
    Image.new("RGB", (3, 2), "#161616").save(run / "explained" / "dark" / "raster.png")
    (run / "explained" / "notes.txt").write_text("not ours")
    page = Page(written(run, other)[1])
    alts = [picture["alt"] for picture in page.pictures]
    assert "Bar chart of the azimuth's error, 5.25° in the mean" in alts
    assert any(alt.startswith("Grad-CAM++") for alt in alts)
    # what an earlier version explained has no dark pictures
    assert len(page.dark) == len(page.pictures) - 1
    assert ground_and_size(page.dark[-1]["srcset"]) == ((0x16, 0x16, 0x16), (3, 2))
    assert ["this network", "0", "2000", "0.0018"] in page.rows
    assert ["its ANN twin, one step", "4000", "0", "0.0184"] in page.rows
    assert ["conv<1>", "conv2d", "binary", "0.250", "0", "2000", "1.8"] in page.rows
    assert "Energy (seed 1): theoretical, compute-only" in page.of("h4")
    assert any("7 test clips" in text and "odd" in text for text in page.of("p"))
    assert ["within", "0.125"] in page.rows and ["of.n", "12"] in page.rows
    assert "not ours" not in "".join(text for _, text in page.texts)


def test_what_a_run_was_made_with_is_there(home):
    run = make_run(home, "a", 8)
    page = Page(written(run)[1])
    facts = {row[0]: row[1] for row in page.rows if len(row) == 2}
    assert facts["parameters"] == "1,234" and facts["began from"] == "random weights"
    assert facts["versions"] == "torch 9.9"
    assert facts["machine"] == "processor P" and facts["caches"] == "stft-1"
    assert facts["data set"] == "d, protocol p"
    assert facts["selection"] == "best-validation (epoch 3)"
    assert page.of("pre") == [(run / "recipe.yaml").read_text()]
    changed = json.loads((run / "eval.json").read_text())
    changed["labels"], changed["predictions"] = (
        {"other" if clip == "c0" else clip: value for clip, value in changed[kind].items()}
        for kind in ("labels", "predictions")
    )
    (run / "eval.json").write_text(json.dumps(changed))
    assert {r[0]: r[1] for r in Page(written(run)[1]).rows if len(r) == 2}["test clips"] != facts[
        "test clips"
    ]


def test_runs_without_a_result_are_named_and_left_out(home):
    three = [make_run(home, "d/a", 8), make_run(home, "d/a", 6, seed=1), make_run(home, "d/b", 5)]
    (three[2] / "eval.json").unlink()
    said, text = written(*three)
    assert said["left_out"] == [three[2].name] and said["systems"] == ["d/a"]
    assert f"Not evaluated, so left out: {three[2].name}." in Page(text).of("p")
    with pytest.raises(DataError, match=f"not evaluated: {three[2].name}") as error:
        written(three[2])
    assert "avsnn evaluate" in error.value.hint
    assert sorted(path.name for path in (home / "reports").iterdir()) == [
        "+".join(run.name for run in three) + ".html"
    ]


def test_the_pictures_of_many_runs_are_bounded_and_it_says_so(home, monkeypatch):
    monkeypatch.setattr("pipelines.reports.report.DETAILED", 2)
    noise = {"both": {0: 0.4}}
    monkeypatch.setattr("pipelines.reports.report.CURVES", 2)
    runs = [make_run(home, f"s{i}", 9 - i, noise=noise) for i in range(3)]
    page = Page(written(*runs)[1])
    assert page.of("h3") == ["s0", "s1"] and len(page.of("pre")) == 2
    assert len([row for row in page.rows if len(row) > 5]) == 4
    notes = " ".join(page.of("p") + page.of("figcaption"))
    assert notes.count("The 2 best of 3 systems") == 3
    assert "The first 2 of 3 runs, in the order of the table." in notes


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("metrics.jsonl", "{"),
        ("energy.json", "{}"),
        ("energy.json", "["),
        ("explained/cam.png", "GIF89a"),
        ("explained/distances.json", "{"),
    ],
)
def test_a_damaged_file_is_an_error_that_names_it_and_keeps_the_old_report(home, name, content):
    run = make_run(home, "a", 8)
    old = home / "reports" / f"{run.name}.html"
    old.parent.mkdir()
    old.write_text(html_page.page("old", []))
    (run / name).parent.mkdir(exist_ok=True)
    (run / name).write_text(content)
    with pytest.raises(DataError, match=f"{run.name}.{name}"):
        written(run)
    assert old.read_text() == html_page.page("old", [])


def test_a_confusion_that_is_none_is_an_error_that_names_the_run(home):
    run = make_run(home, "a", 8, confusion=3, per_class=[])
    with pytest.raises(DataError, match=run.name):
        written(run)


def test_the_file_is_where_it_was_asked_for_and_replaces_the_old_one(home, tmp_path):
    run = make_run(home, "a", 8)
    wanted = tmp_path / "new" / "r.html"
    wanted.parent.mkdir()
    wanted.write_text(html_page.page("old", []))
    said, text = written(run, output=wanted)
    assert said["report"] == str(wanted) and text.startswith("<!doctype html>")
    assert [path.name for path in wanted.parent.iterdir()] == ["r.html"]
    assert written(run)[0]["report"] == str(home / "reports" / f"{run.name}.html")
    with pytest.raises(UsageError, match="is a folder"):
        written(run, output=tmp_path)
