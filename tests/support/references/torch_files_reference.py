"""Writes the files of `tests/golden/torch` with torch itself.

`python tests/support/references/torch_files_reference.py tests/golden/torch`

They hold the kinds of tensors that a state dict can have, in both layouts, beside
harmless other things; a network that was saved whole; and the tensors as arrays.
"""

import argparse
import collections
import pathlib
import sys

import numpy as np
import torch


def state_dict(generator):
    base = torch.randn(4, 6, generator=generator)
    return collections.OrderedDict(
        base=base,
        transposed=base.t(),
        part=base[1:3, ::2],
        half=base[0].half(),
        bfloat16=base[0].bfloat16(),
        double=base[0].double(),
        count=torch.tensor(7),
        flags=torch.tensor([True, False]),
        empty=torch.zeros(0, 3),
        scalar=torch.tensor(0.5),
        parameter=torch.nn.Parameter(base[:2].clone()),
    )


def main(folder):
    generator = torch.Generator().manual_seed(0)
    tensors = state_dict(generator)
    net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    net(torch.randn(4, 2, generator=generator)).sum().backward()
    optimizer.step()
    content = {
        "epoch": 3,
        "best": np.float64(0.5),
        "args": argparse.Namespace(lr=0.1, path=pathlib.PurePosixPath("x")),
        "state_dict": tensors,
        "model": net.state_dict(),
        "optimizer": optimizer.state_dict(),
        "device": torch.device("cpu"),
        "dtype": torch.float32,
        "size": torch.Size([2]),
        "random": torch.get_rng_state()[:5],
        "array": np.arange(3),
    }
    torch.save(content, folder / "zip.pth")
    older = dict(_use_new_zipfile_serialization=False)
    torch.save(content, folder / "older.pth", **older)
    torch.save(net, folder / "module.pth")
    arrays = {
        name: (each.detach().float() if each.is_floating_point() else each).numpy()
        for name, each in tensors.items()
    }
    arrays |= {f"net.{name}": each.numpy() for name, each in net.state_dict().items()}
    np.savez(folder / "expected.npz", **arrays)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
