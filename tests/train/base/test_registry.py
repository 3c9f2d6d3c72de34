"""Registries refuse two entries of one name, which would hide one of them."""

import dataclasses
import importlib.util

import pytest

from train import recipes
from train.base import registry
from train.data import sources
from train.data.formats import npz
from train.recipes import adversarial, losses, supervised
from train.recipes.losses import improved, kullback_leibler

REGISTRIES = {
    "recipes": (recipes, adversarial, "ADVERSARIAL", supervised.SUPERVISED),
    "divergences": (losses, improved, "GKL", kullback_leibler.KL),
    "sources": (sources, npz, "NPZ_SOURCE", sources.IDX_SOURCE),
}


@pytest.mark.parametrize("name", REGISTRIES)
def test_two_entries_of_one_name(name, monkeypatch):
    module, origin, variable, other = REGISTRIES[name]
    changed = dataclasses.replace(getattr(origin, variable), name=other.name)
    monkeypatch.setattr(origin, variable, changed)
    # A copy: modules that imported the registry keep it as it is.
    spec = importlib.util.spec_from_file_location(module.__name__, module.__file__)
    copy = importlib.util.module_from_spec(spec)
    with pytest.raises(ValueError, match="have the same name") as caught:
        spec.loader.exec_module(copy)
    message = str(caught.value)
    assert variable in message
    assert message.endswith(f"in {module.__name__} have the same name, {other.name!r}")


def test_one_entry_under_two_names_is_one():
    scope = {"__name__": "here", "A": losses.KL, "B": losses.KL, "C": 1}
    assert registry.by_name(scope, losses.Divergence) == {"kl": losses.KL}
