"""The typed sections of a config are those of configs/base.py."""

import typing

from ml_collections import ConfigDict

from configs import base
from train.base import config


def fields(protocol):
    return {
        name: type_
        for name, type_ in typing.get_type_hints(protocol).items()
        if not name.startswith("_")
    }


def test_every_field_of_the_base_config_is_typed():
    whole, default = fields(config.Config), base.get_config()
    assert list(whole) == list(default)
    for name, value in default.items():
        if isinstance(value, ConfigDict):
            assert list(fields(whole[name])) == list(value), name
