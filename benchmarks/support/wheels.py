"""Wheels for a machine without a network: `make wheels` gathers, another installs.

    python -m benchmarks.support.wheels --output wheels
    python -m benchmarks.support.wheels --output wheels --reference pyautoattack.whl

They are for Python 3.12 on Linux x86_64, where JAX, Flax, Optax, Orbax, chex and torch
are installed already. `pyautoattack` carries the weights of an example, 43 MB that
nothing here reads; --without_examples leaves them out.
"""

import argparse
import base64
import hashlib
import importlib.metadata
import pathlib
import re
import subprocess
import sys
import zipfile

PACKAGES = (
    "absl-py", "array-record", "cloudpickle", "etils", "flatbuffers", "fsspec", "grain",
    "importlib_resources", "iniconfig", "ml_collections", "packaging", "pluggy",
    "portpicker", "protobuf", "psutil", "pytest", "PyYAML", "tensorboardX",
    "typing_extensions", "zipp",
)  # fmt: skip
REFERENCE = "pyautoattack==0.2.0"
EXAMPLES = "pyautoattack/examples/"
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
LIMIT = 60  # MiB of all wheels together


def gather(output: pathlib.Path, reference: str, *, examples: bool) -> int:
    """Puts the wheels into a folder; returns their bytes.

    Raises:
      subprocess.CalledProcessError: pip could not get one of them.
    """
    output.mkdir(parents=True, exist_ok=True)
    options = [f"--platform={name}" for name in PLATFORMS]
    subprocess.run(
        [
            sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
            "--only-binary=:all:", "--python-version=3.12", *options,
            f"--dest={output}", *PACKAGES, reference,
        ],
        check=True,
    )  # fmt: skip
    if not examples:
        for wheel in output.glob("pyautoattack-*.whl"):
            leave_out(wheel, EXAMPLES)
    return sum(wheel.stat().st_size for wheel in output.glob("*.whl"))


def leave_out(wheel: pathlib.Path, folder: str) -> None:
    """Writes a wheel again without a folder, with a RECORD of what is left."""
    temporary = wheel.with_name(wheel.name + ".new")
    record, lines = "", []
    with (
        zipfile.ZipFile(wheel) as source,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for info in source.infolist():
            if info.filename.endswith(".dist-info/RECORD"):
                record = info.filename
            elif not info.is_dir() and not info.filename.startswith(folder):
                content = source.read(info)
                target.writestr(info.filename, content)
                digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest())
                text = digest.rstrip(b"=").decode()
                lines.append(f"{info.filename},sha256={text},{len(content)}")
        target.writestr(record, "\n".join([*lines, f"{record},,", ""]))
    temporary.replace(wheel)


def missing(folder: pathlib.Path) -> list[pathlib.Path]:
    """The wheels of a folder whose packages this Python does not have.

    Raises:
      FileNotFoundError: there are no wheels.
    """
    wheels = sorted(folder.glob("*.whl"))
    if not wheels:
        raise FileNotFoundError(f"--wheels must be a folder of wheels, got {folder}")
    return [wheel for wheel in wheels if not _is_installed(wheel.name.split("-")[0])]


def install(wheels: list[pathlib.Path], target: pathlib.Path) -> None:
    """Installs wheels into a folder for `PYTHONPATH`, without a network.

    Raises:
      RuntimeError: pip could not; the message is its last line.
    """
    done = subprocess.run(
        [
            sys.executable, "-m", "pip", "install", "--quiet", "--no-index",
            "--no-deps", "--disable-pip-version-check", f"--target={target}",
            *map(str, wheels),
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise RuntimeError(f"the wheels could not be installed: {lines[-1]}")


def _is_installed(name: str) -> bool:
    try:
        importlib.metadata.distribution(re.sub(r"[-_.]+", "-", name).lower())
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=pathlib.Path, default="wheels")
    parser.add_argument(
        "--reference", default=REFERENCE, help="pyautoattack, or a file with its wheel"
    )
    parser.add_argument(
        "--without_examples",
        action="store_true",
        help="leave out the example weights of pyautoattack",
    )
    arguments = parser.parse_args()
    size = gather(
        arguments.output, arguments.reference, examples=not arguments.without_examples
    )
    count = len(list(arguments.output.glob("*.whl")))
    print(f"{count} wheels in {arguments.output}, {size / 2**20:.1f} MiB of {LIMIT}")
    if size > LIMIT * 2**20:
        parser.exit(1, f"they are more than {LIMIT} MiB\n")


if __name__ == "__main__":
    main()
