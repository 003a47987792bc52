"""Places of YAML syntax errors, and common mistakes in plain words."""

import re

import yaml

from pipelines.recipe.messages import Place

_COMMON_MISTAKES = {
    "'\\t'": "a tab is not read here; use spaces",
    "mapping values are not allowed": "a ': ' too many; quote the text or start a new line",
    "expected <block end>": "does not line up with what is above; check the indentation",
    "<stream end>": "never closed",
    "end of stream": "never closed",
    "could not find expected ':'": "a key without ': '",
}


def split_lines(text: str) -> list[str]:
    """Split a text where an editor does, so that line numbers agree."""
    return re.split(r"\r\n|\r|\n", text)


def syntax_place(cause: yaml.MarkedYAMLError, text: str, opened: Place) -> Place:
    """Return the place of the problem; at the file's end, of what was opened and never closed.

    opened: the place of the innermost list or mapping that is not closed yet.
    """
    marks = [cause.problem_mark, cause.context_mark]
    # PyYAML finds a key without colon only on the line after it.
    if "could not find expected ':'" in str(cause.problem):
        marks.reverse()
    for mark in marks:
        if mark is not None and text[mark.index :].strip():
            return mark.line + 1, mark.column + 1
    return opened


def syntax_text(cause: yaml.MarkedYAMLError) -> str:
    """Return a common mistake in plain words, any other one in the parser's words."""
    problem = cause.problem or "cannot be read"
    plain = next((text for part, text in _COMMON_MISTAKES.items() if part in problem), problem)
    return f"not valid YAML: {plain}"
