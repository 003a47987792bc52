"""Recipes that must be refused: (name, text or bytes, line, column, part of what is said).

They name the dataset, features and model that test_recipe.py declares. Lines and columns are
counted by hand, from 1.
"""

GOOD = """\
version: 1
seed: 0
data: {dataset: digits-av, protocol: leak-free}
audio: {feature: stft, n_fft: 512, n_mels: 64}
visual: {feature: image, size: [64, 64]}
model: {name: tiny, width: 32}
train:
  epochs: 10
  batch_size: 4
  optimizer: {lr: 1e-3}
noise:
  snr_db: {start: 0, stop: 30, step: 5}
runtime: {num_workers: 0}
"""


def line(number: int, text: str) -> str:
    """Return GOOD with one line replaced; an empty text takes the line away."""
    lines = GOOD.split("\n")
    lines[number - 1 : number] = text.split("\n") if text else []
    return "\n".join(lines)


Broken = tuple[str, str | bytes, int, int, str]

SYNTAX: list[Broken] = [
    ("empty file", "", 1, 1, "the file is empty"),
    ("only a comment", "# nothing yet\n", 1, 1, "the file is empty"),
    ("only null", "~\n", 1, 1, "the file is empty"),
    ("a list", "\n- version: 1\n", 2, 1, "must be a mapping (is a list)"),
    ("one word", "recipe\n", 1, 1, "must be a mapping (is one value)"),
    ("not UTF-8", b"version: 1\nseed: \xff\n", 2, 7, "not UTF-8 text"),
    ("UTF-16", GOOD.encode("utf-16"), 1, 1, "not UTF-8 text"),
    ("NUL", GOOD.replace("digits", "dig\0its"), 3, 20, "control character"),
    ("escape sequence", line(2, "seed: 0 # \x1b[2J"), 2, 11, "control character"),
    ("escaped NUL", line(3, 'data: {dataset: "digits\\0av"}'), 3, 17, "control character"),
    ("lone surrogate", line(3, 'data: {dataset: "\\ud800"}'), 3, 17, "control character"),
    ("line break of YAML 1.1 only", line(2, "seed: 0 # a\x85b"), 2, 12, "control character"),
    ("tab as indent", line(8, "\tepochs: 10"), 8, 1, "a tab is not read here"),
    ("bracket left open", line(13, "runtime: {num_workers: 0"), 13, 10, "never closed"),
    ("quote left open", line(13, "runtime: {device: 'cpu}"), 13, 19, "never closed"),
    ("key without colon", line(11, "noise"), 11, 1, "a key without ': '"),
    ("two colons", line(2, "seed: 0: 1"), 2, 8, "a ': ' too many"),
    ("crooked indent", line(9, "   batch_size: 4"), 9, 14, "a ': ' too many"),
    ("indent that fits nothing", line(9, " batch_size: 4"), 9, 2, "check the indentation"),
    ("impossible escape", line(3, 'data: {dataset: "\\UFFFFFFFF"}'), 3, 7, "not valid YAML"),
    ("two documents", GOOD + "---\nseed: 1\n", 14, 1, "a second document"),
    ("deep list", line(2, "seed: " + "[" * 30 + "]" * 30), 2, 26, "deeper than 20"),
    ("bottomless list", "seed: " + "[" * 50_000, 1, 26, "deeper than 20"),
    ("bottomless mapping", "{a: " * 20_000, 1, 81, "deeper than 20"),
    ("bottomless dashes", "- " * 50_000, 1, 41, "deeper than 20"),
    ("too many values", "a: [" + "1," * 30_000 + "]", 1, 39_999, "more than 20000 values"),
    ("too large", GOOD + "#" * 262_144, 1, 1, "larger than 256 KiB"),
]

NOT_PLAIN: list[Broken] = [
    ("duplicate section", GOOD + "seed: 1\n", 14, 1, "duplicate key (first on line 2)"),
    ("duplicate key on a line", line(2, "seed: 0\nnoise: {seed: 1, seed: 2}"), 3, 18, "duplicate"),
    ("number as key", line(13, "1: 2"), 13, 1, "a key must be text (is 1)"),
    ("true as key", line(13, "true: 2"), 13, 1, "a key must be text (is true)"),
    ("no key", line(13, "{? : 2}"), 13, 1, "not valid YAML"),
    ("list as key", line(13, "[a]: 2"), 13, 1, "a key must be text (is a list)"),
    ("anchor", line(2, "seed: &zero 0"), 2, 7, "seed: anchor &zero"),
    ("alias", line(13, "runtime: *other"), 13, 10, "runtime: alias *other"),
    ("alias to itself", line(13, "runtime: &r [*r]"), 13, 14, "runtime[0]: alias *r"),
    ("merge key", line(13, "runtime: {<<: {threads: 2}}"), 13, 11, "runtime: merge key"),
    ("python object", line(2, "seed: !!python/name:os.system"), 2, 7, "tag '!!python/name:os"),
    ("own tag", line(6, "model: !tiny {width: 32}"), 6, 8, "model: tag '!tiny'"),
    ("standard tag", line(2, 'seed: !!int "0"'), 2, 7, "seed: tag '!!int'"),
    ("infinity", line(8, "  epochs: .inf"), 8, 11, "epochs: a number must be finite"),
    ("not a number", line(10, "  optimizer: {lr: .nan}"), 10, 19, "lr: a number must be finite"),
    ("overflowing float", line(10, "  optimizer: {lr: 1e999}"), 10, 19, "must be finite"),
    ("overflowing integer", line(2, "seed: " + "9" * 5000), 2, 7, "must fit in 64 bits"),
]

SCHEMA: list[Broken] = [
    ("unknown section", GOOD + "trian: {}\n", 14, 1, "trian: unknown key (did you mean train?)"),
    ("unknown key", line(4, "audio: {feature: stft, n_mell: 4}"), 4, 24, "(did you mean n_mels?)"),
    ("unknown key, none near", line(13, "runtime: {zzz: 1}"), 13, 11, "known: num_workers, device"),
    ("unknown nested key", line(6, "model: {name: tiny, neuron: {tua: 2}}"), 6, 30, "mean tau?"),
    ("no seed", line(2, ""), 1, 1, "seed: missing"),
    ("no batch size", line(9, ""), 7, 1, "train.batch_size: missing"),
    ("no learning rate", line(10, "  optimizer: {}"), 10, 3, "train.optimizer.lr: missing"),
    ("no dataset", line(3, "data: {protocol: leak-free}"), 3, 1, "data.dataset: missing"),
    (
        "no input",
        GOOD.replace("audio:", "#").replace("visual:", "#"),
        1,
        1,
        "audio, visual, or both",
    ),
    ("section left empty", line(13, "runtime:"), 13, 9, "runtime: must be a mapping (is null)"),
    ("section is null", line(5, "visual: null"), 5, 9, "visual: must be a mapping (is null)"),
    ("section is a list", line(11, "noise: [1]\nx:"), 11, 1, "noise: must be a mapping (is [1])"),
    ("later version", line(1, "version: 2"), 1, 10, "version: must be 1 (is 2)"),
    ("text for a number", line(8, "  epochs: '4'"), 8, 11, "must be an integer (is '4')"),
    ("fraction for an integer", line(8, "  epochs: 4.5"), 8, 11, "must be an integer (is 4.5)"),
    ("truth for an integer", line(8, "  epochs: true"), 8, 11, "must be an integer (is true)"),
    ("below the least", line(8, "  epochs: 0"), 8, 11, "train.epochs: must be ≥ 1 (is 0)"),
    ("above the most", line(2, "seed: 2147483648"), 2, 7, "must be < 2147483648"),
    ("learning rate of zero", line(10, "  optimizer: {lr: 0}"), 10, 19, "must be > 0 (is 0)"),
    (
        "beta of one",
        line(10, "  optimizer: {lr: 1, betas: [0.9, 1]}"),
        10,
        35,
        "betas[1]: must be < 1",
    ),
    ("misspelt choice", line(10, "  optimizer: {lr: 1, name: adm}"), 10, 28, "did you mean adam?"),
    (
        "another choice",
        line(10, "  optimizer: {lr: 1, name: lion}"),
        10,
        28,
        "one of adam, adamw, sgd (is 'lion'",
    ),
    ("no for a boolean", line(5, "visual: {feature: image, flip: no}"), 5, 32, "(is 'no')"),
    ("short list", line(5, "visual: {feature: image, size: [64]}"), 5, 26, "size[1]: missing"),
    (
        "long list",
        line(5, "visual: {feature: image, size: [8, 8, 8]}"),
        5,
        26,
        "at most 2 items (has 3)",
    ),
    ("colon range", line(12, "  snr_db: 0:30:5"), 12, 11, "must be a mapping (is '0:30:5')"),
    (
        "range backwards",
        line(12, "  snr_db: {start: 9, stop: 3}"),
        12,
        3,
        "stop (3) is below start (9)",
    ),
    ("endless range", line(12, "  snr_db: {step: 0.01}"), 12, 3, "3001 levels; at most 1000"),
    (
        "milestones",
        line(8, "  epochs: 10\n  schedule: {milestones: [5, 5]}"),
        9,
        14,
        "must increase",
    ),
    (
        "long warm-up",
        line(8, "  epochs: 10\n  schedule: {warmup_epochs: 11}"),
        7,
        1,
        "(11) is over epochs",
    ),
    ("snr order", line(8, "  epochs: 9\n  augment: {noise_snr_db: [9, 1]}"), 9, 13, "low to high"),
    (
        "events of a picture",
        line(8, "  epochs: 9\n  augment: {events: {drop: 0.1}}"),
        9,
        13,
        "no input is made of events (stft and image are not)",
    ),
    ("device", line(13, "runtime: {device: gpu}"), 13, 19, "auto, cpu, cuda or cuda:N (is 'gpu')"),
    ("no such dataset", line(3, "data: {dataset: digit-av}"), 3, 17, "did you mean digits-av?"),
    ("no such feature", line(4, "audio: {feature: sftf}"), 4, 18, "no feature 'sftf'"),
    ("no such model", line(6, "model: {name: tinny}"), 6, 15, "did you mean tiny?"),
    ("no such preset", line(6, "model: {name: tiny, preset: papre}"), 6, 29, "did you mean paper?"),
    ("image as audio", line(4, "audio: {feature: image}"), 4, 18, "write it under visual"),
    ("path as a name", line(3, "data: {dataset: ../../etc}"), 3, 17, "no dataset '../../etc'"),
    ("a union", line(4, "audio: {feature: stft, hop: x}"), 4, 29, "an integer or auto (is 'x')"),
    ("supplied by the program", line(6, "model: {name: tiny, classes: 3}"), 6, 21, "unknown key"),
]

BROKEN = SYNTAX + NOT_PLAIN + SCHEMA
