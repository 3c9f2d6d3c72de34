"""What `--help` prints."""

import pytest

from train import (
    cli,
    compare,
    convert,
    convert_synthetic,
    evaluate,
    export,
    pseudo_label,
    report,
    sweep,
)

COMMANDS = {
    "train": cli.main,
    "train.evaluate": evaluate.main,
    "train.compare": compare.main,
    "train.convert": convert.main,
    "train.convert_synthetic": convert_synthetic.main,
    "train.export": export.main,
    "train.pseudo_label": pseudo_label.main,
    "train.report": report.main,
    "train.sweep": sweep.main,
}


@pytest.mark.parametrize("name", COMMANDS)
def test_it_has_two_examples_of_its_own_command(name, capsys):
    assert COMMANDS[name](["command", "--help"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"usage: python -m {name} ")
    examples = printed.partition("\nexamples:\n")[2].partition("\n\n")[0].splitlines()
    assert len(set(examples)) == len(examples) >= 2
    assert all(f" -m {name} " in f"{line} " for line in examples)


def test_each_item_of_a_list_has_a_line(capsys):
    export.main(["export", "--help"])
    lines = capsys.readouterr().out.splitlines()
    for file in ("weights.safetensors", "torch.safetensors", "model.jax_export"):
        assert any(line.startswith(f"- `{file}`") for line in lines)
    assert all(len(line) <= 80 for line in lines if line.startswith(("- ", "  arch")))
