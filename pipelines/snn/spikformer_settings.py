"""The settings that networks of Spikformer's family share, each with its range and its sentence."""

from typing import Annotated

from pydantic import Field

TimeSteps = Annotated[int, Field(ge=1, le=256, description="Number of simulation time steps T.")]
TokenWidth = Annotated[int, Field(ge=8, le=4096, description="Width D of a token.")]
Stages = Annotated[
    int,
    Field(
        ge=1,
        le=6,
        description="Number of stages of spiking patch splitting (SPS); each halves "
        "height and width.",
    ),
]
Heads = Annotated[int, Field(ge=1, le=256, description="Number of attention heads.")]
AttentionScale = Annotated[
    float, Field(gt=0, le=100, description="Scale s of the attention (Eq. 7).")
]
