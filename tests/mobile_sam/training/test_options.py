from __future__ import annotations

import dataclasses
from pathlib import Path

from mobile_sam.training import TrainConfig
from mobile_sam.training.options import options


def test_every_setting_is_an_option_that_says_what_it_does():
    made = {option.name: option for option in options()}
    assert list(made) == [field.name for field in dataclasses.fields(TrainConfig)]
    assert [name for name, option in made.items() if len(option.help) < 20] == []


def test_kinds():
    made = {option.name: option for option in options()}
    assert (made['data'].kind, made['data'].default) == (Path, dataclasses.MISSING)
    assert (made['minutes'].kind, made['minutes'].optional) == (float, True)
    assert (made['crop_sizes'].kind, made['crop_sizes'].several) == (int, True)
    assert (made['modalities'].kind, made['modalities'].several) == (str, True)
    assert (made['amp'].kind, made['amp'].default) == (bool, False)
    # What two names share is told of both; marks of the docstring are gone.
    assert made['minutes'].help == made['steps'].help
    assert made['phase'].help.startswith('crops trains everything')
    assert '`' not in ''.join(option.help for option in made.values())
