"""`folder:DIR`: published images in folders, DIR/CORRUPTION/SEVERITY/CLASS/FILE.

So ImageNet-C comes, with a folder of the family above each corruption, which may stay.
"""

import pathlib
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from train.base.config import DataConfig
from train.base.errors import UserError
from train.data.corruptions.corrupted import CORRUPTIONS
from train.data.formats import folder, paths
from train.data.formats.encoded import Encoded, evaluated
from train.data.splits import DataSet, Split, View


class ImageNetC:
    """The published images of a test part."""

    def __init__(
        self, argument: str, data: DataSet, data_config: DataConfig,
        names: Sequence[str], severities: Sequence[int],
    ) -> None:  # fmt: skip
        """Opens the folders of the corruptions that are asked for and are there.

        Args:
          argument: DIR.
          data: whose test part are the images as they are.
          data_config: how images are decoded and brought to a size.
          names: of the corruptions that are asked for.
          severities: that are asked for.

        Raises:
          UserError: a folder lacks a severity, or holds other images.
        """
        self._root = paths.local_folder("folder", argument)
        if data.class_names is None:
            raise UserError(
                "--corrupted_images=folder: needs data whose classes have names, which "
                "are those of the folders"
            )
        self._data, self._config = data, data_config
        self._pool = ThreadPoolExecutor(
            data_config.threads, thread_name_prefix="decode"
        )
        self._splits = {
            (name, severity): self._open(name, severity)
            for name in names
            if not self.missing(name)
            for severity in severities
        }

    @property
    def identity(self) -> str:
        """A text that changes when names or sizes of the files do."""
        checksum = 0
        for (name, severity), split in self._splits.items():
            every = np.arange(len(split))
            content = f"{name} {severity} {split.records.checksum(every)}"
            checksum = zlib.crc32(content.encode(), checksum)
        return f"folder ({checksum:08x})"

    def missing(self, name: str) -> str:
        """What is missing for a corruption; "": nothing."""
        if self._folder(name) is not None:
            return ""
        return f"folder: {str(self._root)!r} has no folder {name!r}"

    def split(self, name: str, severity: int) -> Encoded:
        """The examples under one corruption."""
        return self._splits[name, severity]

    def _folder(self, name: str) -> pathlib.Path | None:
        family = CORRUPTIONS[name].family
        for path in (self._root / name, self._root / family / name):
            if path.is_dir():
                return path
        return None

    def _open(self, name: str, severity: int) -> Encoded:
        above = self._folder(name)
        assert above is not None
        part = above / str(severity)
        if not part.is_dir():
            raise UserError(f"folder: {str(above)!r} has no folder '{severity}'")
        found = folder.files_of_part(part, self._data.class_names or ())
        test = self._data.test
        if not np.array_equal(found.labels, test.labels):
            raise UserError(
                f"folder: {str(part)!r} holds {len(found)} images, which are not those "
                f"of the {len(test)} that are evaluated: each class must have as many"
            )
        _check_names(part, found.files, test)
        return evaluated(found, self._config, self._pool, self._data.image_shape)


def _check_names(part: pathlib.Path, files: Sequence[str], test: Split) -> None:
    """Raises `UserError` unless the files have the names of those evaluated.

    Images that are not files of their own have no names to compare.
    """
    rows = test.indices if isinstance(test, View) else np.arange(len(test))
    whole = test.split if isinstance(test, View) else test
    if not isinstance(whole, Encoded) or whole.records.files is None:
        return
    for ours, row in zip(files, rows.tolist(), strict=True):
        theirs = whole.records.files[row]
        if pathlib.PurePath(ours).stem != pathlib.PurePath(theirs).stem:
            raise UserError(
                f"folder: {str(part)!r} holds {ours!r} where {theirs!r} is evaluated"
            )
