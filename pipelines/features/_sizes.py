"""Sizes that the settings of several features share."""

from typing import Annotated

from pydantic import Field

# rows or columns of what a feature returns
Side = Annotated[int, Field(ge=1, le=4096)]
