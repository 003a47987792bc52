"""A comparison: means, tests and marks against values worked out by hand."""

import json
import math

import pytest
import yaml

from pipelines.errors import DataError
from pipelines.reports.compare import Result, compare, is_possible, read_run
from pipelines.results.metrics import summary, wilson_interval


def result(system, hits, *, seed=0, n=10, settings=(), noise=(), published=None):
    """Build a result that is right on the first `hits` of n clips, or on the clips listed."""
    right = set(range(hits)) if isinstance(hits, int) else set(hits)
    labels = [i % 2 for i in range(n)]
    predictions = [i % 2 if i in right else 1 - i % 2 for i in range(n)]
    evaluation = {
        "dataset": "d",
        "protocol": "p",
        "selection": "best-validation (epoch 3)",
        "seed": seed,
        **summary(labels, predictions, ["x", "y"]),
        "labels": {f"c{i}": label for i, label in enumerate(labels)},
        "predictions": {f"c{i}": found for i, found in enumerate(predictions)},
    }
    return Result(
        f"{system}-{seed}", system, dict(settings), seed, evaluation, dict(noise), published
    )


def test_a_system_is_one_row_over_its_seeds():
    rows = compare([result("a", hits, seed=s) for s, hits in enumerate((6, 7, 8))])
    (row,) = rows
    assert row["accuracy"] == pytest.approx(0.7) and row["sd"] == pytest.approx(0.1)
    assert row["seeds"] == [0, 1, 2] and row["n"] == 10 and row["wilson"] is None
    assert row["selection"] == "best-validation"


def test_one_seed_has_an_interval_and_no_deviation():
    (row,) = compare([result("a", 6)])
    assert row["sd"] is None and row["wilson"] == pytest.approx(wilson_interval(6, 10))


def test_the_best_comes_first_and_others_are_tested_against_it():
    """Of ten clips the best alone has six right: p = 2 / 2^6."""
    rows = compare([result("worse", 2), result("best", 8)])
    assert [row["system"] for row in rows] == ["best", "worse"]
    assert rows[0]["mcnemar_p"] is None
    assert rows[1]["mcnemar_p"] == pytest.approx(2 * math.comb(6, 0) / 2**6)


def test_the_least_sure_of_the_seeds_counts():
    best = [result("best", 9, seed=0), result("best", 8, seed=1), result("best", 9, seed=2)]
    other = [result("other", 1, seed=0), result("other", 7, seed=1), result("other", 0, seed=7)]
    assert compare([*best, *other])[1]["mcnemar_p"] == 1.0  # one clip apart


def test_other_test_clips_are_not_compared():
    assert [row["mcnemar_p"] for row in compare([result("a", 8), result("b", 9, n=12)])] == [
        None
    ] * 2


def test_rows_of_one_recipe_are_told_apart_by_what_differs():
    rows = compare(
        [
            result("a", 8, settings={"model.alpha": 1.5, "model.width": 64, "model.ccssa": "both"}),
            result("a", 7, settings={"model.alpha": 0.5, "model.width": 64, "model.ccssa": "none"}),
            result("b", 6, settings={"model.alpha": 0.1}),
        ]
    )
    assert [row["system"] for row in rows] == [
        "a (model.alpha=1.5, model.ccssa=both)",
        "a (model.alpha=0.5, model.ccssa=none)",
        "b",
    ]


def test_runs_of_other_code_are_rows_of_their_own_whatever_the_seed():
    old = [result("a", 8)._replace(code="1", run="a-1b"), result("a", 6, seed=1)._replace(code="1")]
    new = result("a", 2, seed=2)._replace(code="2", run="a-2c")
    rows = compare([*old, new])
    assert [row["system"] for row in rows] == ["a [1b]", "a [2c]"]
    assert [row["accuracies"] for row in rows] == [[0.8, 0.6], [0.2]]


def test_runs_of_one_recipe_on_other_data_are_rows_of_their_own():
    before, again = result("a", 8), result("a", 6)._replace(run="a-1b")
    after = result("a", 7)._replace(caches=("stft-2",), run="a-2c")
    rows = compare([before, after, before, again, again])
    assert [row["system"] for row in rows] == ["a [0]", "a [2c]", "a [1b]"]
    assert [row["accuracy"] for row in rows] == [0.8, 0.7, 0.6]


def test_noise_levels_that_all_seeds_have_are_averaged():
    rows = compare(
        [
            result("a", 8, noise={"0 dB": 0.5, "5 dB": 0.6}),
            result("a", 8, seed=1, noise={"0 dB": 0.7}),
        ]
    )
    assert set(rows[0]["noise"]) == {"0 dB"}
    assert rows[0]["noise"]["0 dB"]["mean"] == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("percent", "n", "possible"),
    [
        (73.25, 744, True),
        (70.02, 744, False),
        (66.53, 744, True),
        (64.78, 744, True),
        (50.0, 10, True),
        (50.01, 10, False),
        (0.0, 7, True),
        (100.0, 7, True),
        (33.33, 3, True),
        (33.34, 3, False),
        (66.67, 3, True),
        (99.28, 5000, True),
        (99.275, 5000, True),
    ],
)
def test_a_percentage_is_possible_if_some_count_gives_it(percent, n, possible):
    by_hand = any(round(100 * k / n, 2) == round(percent, 2) for k in range(n + 1))
    assert is_possible(percent, n) == by_hand == possible


def test_the_papers_figure_is_marked_if_no_count_gives_it():
    said = {"accuracy_percent": 50.01, "n": 10, "protocol": "p", "source": "s"}
    assert compare([result("a", 5, published=said)])[0]["published"]["possible"] is False
    unknown = said | {"n": None}
    assert compare([result("a", 5, published=unknown)])[0]["published"]["possible"] is None


def test_a_run_without_or_with_a_damaged_result_is_one_line(tmp_path):
    with pytest.raises(DataError, match="not evaluated"):
        read_run(tmp_path)
    (tmp_path / "eval.json").write_text("[]")
    from pipelines.recipe import recipe

    plain = yaml.safe_load(recipe.find("quickstart").read_text())
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(plain))
    (tmp_path / "env.json").write_text("[]")
    with pytest.raises(DataError, match="not readable"):
        read_run(tmp_path)
    (tmp_path / "env.json").write_text('{"name": "x", "caches": []}')
    for damaged in ("[]", "3", '{"n": 4}'):
        (tmp_path / "eval.json").write_text(damaged)
        with pytest.raises(DataError, match="not readable"):
            read_run(tmp_path)


def test_a_run_whose_record_is_no_runs_is_one_line(tmp_path):
    from pipelines.recipe import recipe
    from pipelines.runs.open_run import open_run

    (tmp_path / "recipe.yaml").write_text(recipe.find("quickstart").read_text())
    for damaged in ("[]", "{}", "3"):
        (tmp_path / "env.json").write_text(damaged)
        with pytest.raises(DataError, match=r"env\.json"):
            open_run(str(tmp_path))


def test_azimuths_are_averaged_at_each_level_that_all_seeds_have():
    runs = []
    for seed, mae in ((0, 2.0), (1, 6.0)):
        errors = {"mae_deg": mae, "below_2_5_deg": 0.5, "up_to_5_deg": 0.25 * (seed + 1)}
        one = result("a", 8, seed=seed, noise={"audio 0 dB": 0.5, "audio 5 dB": 0.5})
        levels = ("audio 0 dB", "audio 5 dB")[: 2 - seed]
        runs.append(one._replace(noise_doa={level: errors for level in levels}))
    (row,) = compare(runs)
    assert set(row["noise_doa"]) == {"audio 0 dB"}
    found = row["noise_doa"]["audio 0 dB"]
    assert found["mae_deg"] == {"mean": 4.0, "sd": pytest.approx(8**0.5)}
    assert found["up_to_5_deg"]["mean"] == 0.375


def test_systems_that_locate_and_others_fill_one_table():
    from avsnn_cli.comparison_tables import as_text

    located = result("a", 8, noise={"0 dB": 0.5})
    located.evaluation["doa"] = {"n": 10, "mae_deg": 3.25, "below_2_5_deg": 0.4, "up_to_5_deg": 0.9}
    text = as_text(compare([located, result("b", 7, noise={"5 dB": 0.25})]), "csv").splitlines()
    assert text[0].split(",")[-5:] == ["MAE °", "< 2.5° %", "≤ 5° %", "0 dB", "5 dB"]
    assert text[1].split(",")[-5:] == ["3.25", "40.0", "90.0", "50.00", ""]
    assert text[2].split(",")[-5:] == ["", "", "", "", "25.00"]


def test_runs_that_differ_in_a_setting_of_the_model_alone_are_two_systems(tmp_path):
    from pipelines.recipe import recipe

    plain = yaml.safe_load(recipe.find("quickstart").read_text())
    for alpha in (0.5, 1.5):
        run = tmp_path / f"a-{alpha}"
        run.mkdir()
        plain["model"]["alpha"] = alpha
        (run / "recipe.yaml").write_text(yaml.safe_dump(plain))
        (run / "env.json").write_text('{"name": "a", "caches": []}')
        (run / "eval.json").write_text(json.dumps(result("a", 8).evaluation))
    rows = compare([read_run(run) for run in tmp_path.iterdir()])
    assert {row["system"] for row in rows} == {"a (model.alpha=0.5)", "a (model.alpha=1.5)"}


def test_columns_of_runs_are_never_called_the_same():
    from pipelines.evaluation.explain import run_labels
    from pipelines.recipe import recipe

    def plain(*settings):
        return recipe.load_recipe(recipe.find("quickstart"), settings)

    one, other = plain("model.width=32"), plain("model.width=64")
    assert run_labels([one, other], ["r1", "r2"]) == ["width=32", "width=64"]
    # they differ in more settings than are shown, and only in the last of them
    shared = ("model.width=16", "model.heads=2", "model.alpha=0.5")
    few = [plain(), plain(*shared), plain(*shared, "train.batch_size=7")]
    assert run_labels(few, ["r1", "r2", "r3"]) == ["r1", "r2", "r3"]
