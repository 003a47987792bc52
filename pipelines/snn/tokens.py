"""Compute the number of tokens of spiking patch splitting from the size of an input; no torch."""

Size = tuple[int, int]


def grid(size: Size, stages: int) -> Size:
    """Return the rows and columns of tokens; each stage halves both and rounds up."""
    rows, columns = size
    for _ in range(stages):
        # max-pooling by 3, stride 2, padding 1
        rows, columns = (rows + 1) // 2, (columns + 1) // 2
    return rows, columns


def misfit(audio: Size | None, visual: Size | None, stages: int) -> str:
    """Return how two inputs, (rows, columns) each, differ in their number of tokens; "" if not."""
    if audio is None or visual is None:
        return ""
    audio_grid, visual_grid = grid(audio, stages), grid(visual, stages)
    # the number alone: from here on tokens are a sequence, whatever the shape of their grid
    if audio_grid[0] * audio_grid[1] == visual_grid[0] * visual_grid[1]:
        return ""
    return (
        f"{audio[0]} x {audio[1]} makes {audio_grid[0]} x {audio_grid[1]} tokens, visual.size "
        f"{visual[0]} x {visual[1]} makes {visual_grid[0]} x {visual_grid[1]}: "
        "the two numbers must be equal"
    )
