"""Runs of earlier versions, whose configs lack the fields that came later."""

import json

import pytest

from configs import base
from train.base.errors import UserError
from train.experiment import settings


def without_added_fields(workdir):
    """Claims a workdir for the base config, then takes the later fields out of it."""
    settings.claim(workdir, base.get_config())
    path = workdir / "config.json"
    content = json.loads(path.read_text())
    for field in settings.ADDED:
        section, _, name = field.rpartition(".")
        del (content[section] if section else content)[name]
    path.write_text(json.dumps(content))


def test_a_run_of_an_earlier_version_goes_on(tmp_path):
    """The values of added fields are those of the base config, after JSON too."""
    without_added_fields(tmp_path / "run")
    settings.claim(tmp_path / "run", base.get_config())
    loaded = settings.load(tmp_path / "run")
    for field in settings.ADDED:
        assert settings.get(loaded, field) in (settings.ADDED[field], ())


def test_not_with_other_values_of_them(tmp_path):
    without_added_fields(tmp_path / "run")
    changed = base.get_config()
    changed.continual.memory = 3
    with pytest.raises(UserError, match="continual.memory is 0 there and 3 here"):
        settings.claim(tmp_path / "run", changed)


@pytest.mark.parametrize("section", ["continual", "loss"])
def test_a_section_that_is_a_number_is_named(section, tmp_path):
    settings.claim(tmp_path / "run", base.get_config())
    path = tmp_path / "run" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), section: 5}))
    said = f"config.json: {section} must hold a JSON object, got 5"
    with pytest.raises(UserError, match=said):
        settings.load(tmp_path / "run")
