"""How many tokens spiking patch splitting makes of an input, from its size alone; no torch."""

Size = tuple[int, int]


def grid(size: Size, stages: int) -> Size:
    """Return the rows and columns of tokens; each stage halves both and rounds up."""
    rows, columns = size
    for _ in range(stages):
        rows, columns = (rows + 1) // 2, (columns + 1) // 2
    return rows, columns


def misfit(audio: Size | None, visual: Size | None, stages: int) -> str:
    """Say that two inputs, (rows, columns) each, differ in their number of tokens; "" if not."""
    if audio is None or visual is None:
        return ""
    heard, seen = grid(audio, stages), grid(visual, stages)
    if heard[0] * heard[1] == seen[0] * seen[1]:
        return ""
    return (
        f"{audio[0]} x {audio[1]} makes {heard[0]} x {heard[1]} tokens, visual.size "
        f"{visual[0]} x {visual[1]} makes {seen[0]} x {seen[1]}: as many are needed"
    )
