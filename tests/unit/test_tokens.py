"""The number of tokens that a recipe's sizes lead to is what the network makes of them."""

from types import SimpleNamespace

import pytest
import torch

from pipelines.errors import AvsnnError, RecipeError
from pipelines.models import cmci, s_cmrl, sca
from pipelines.recipe import recipe as recipes
from pipelines.snn import tokens
from pipelines.snn.lif import LIF
from pipelines.snn.patch_splitting import PatchSplitting

SIZES = [(16, 16), (17, 15), (8, 32), (32, 8), (33, 31), (20, 12), (64, 64)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("stages", [1, 2, 3, 4])
def test_the_grid_is_that_of_the_network(size, stages):
    network = PatchSplitting(1, 8, stages, lambda: LIF(2)).eval()
    found = network(torch.zeros(1, 1, *size))
    rows, columns = tokens.grid(size, stages)
    assert found.shape == (2, 1, rows * columns, 8)


@pytest.mark.parametrize("module", [s_cmrl, cmci, sca])
def test_a_model_says_beforehand_which_sizes_it_cannot_take(module):
    """What misfit lets through runs, and what it refuses does not."""
    more = {"side": 4} if module is sca else {}
    model = module.Model(
        classes=2,
        audio_channels=1,
        visual_channels=1,
        width=8,
        stages=2,
        time_steps=2,
        **({"heads": 2} if module is not cmci else {}),
        **more,
    )
    settings = SimpleNamespace(stages=2, positions="learned", **more)
    refused = 0
    for audio in SIZES:
        for visual in SIZES:
            fits = not module.misfit(settings, audio, visual)
            try:
                model(torch.zeros(2, 1, *audio), torch.zeros(2, 1, *visual))
                runs = True
            except (AvsnnError, ValueError, RuntimeError):
                runs = False
            assert fits == runs, (audio, visual)
            refused += not runs
    assert 0 < refused < len(SIZES) ** 2
    assert not module.misfit(settings, None, (16, 16))  # one is not known: nothing to say


def test_validate_says_that_sizes_give_different_numbers_of_tokens():
    path = recipes.find("quickstart")
    with pytest.raises(RecipeError) as failure:
        recipes.load_recipe(path, ["audio.size=[16,32]"])
    assert (
        "audio.size: 16 x 32 makes 4 x 8 tokens, visual.size 16 x 16 makes 4 x 4: the two "
        "numbers must be equal" in failure.value.message
    )
    recipes.load_recipe(path, ["audio.size=[8,32]"])
    recipes.load_recipe(path, ["audio.size=[16,32]"], with_model=False)  # prepare needs no network
