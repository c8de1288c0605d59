"""`python -m protos.release` keeps the contract as it is as the image of the version in `pyproject.toml`."""

import sys
import tempfile
import tomllib
from pathlib import Path

from packaging.version import Version

from protos import images
from protos.compatibility import check


def release(version: str, protos: Path = images.PROTOS, folder: Path = images.RELEASES) -> Path:
    """Write `<version>.binpb`: the protos and their comments.

    Raises:
        ValueError: that version or a later one is released, or the contract breaks an earlier one.
    """
    earlier = images.releases(folder)
    if earlier and Version(version) <= Version(earlier[0].stem):
        raise ValueError(f"{version} is not later than {earlier[0].stem}, which is released; raise `version`")
    with tempfile.TemporaryDirectory() as scratch:
        image = images.compile_protos(protos, Path(scratch) / "image.binpb")
        if findings := check(image, earlier):
            raise ValueError("\n".join(map(str, findings)))
        files = images.read(image)
    for file in files.file:
        described = [place for place in file.source_code_info.location if place.leading_comments]
        del file.source_code_info.location[:]
        if file.name.startswith("ghostback/"):
            file.source_code_info.location.extend(described)
    path = folder / f"{version}.binpb"
    path.write_bytes(files.SerializeToString(deterministic=True))
    return path


def main() -> None:
    """Release the version in `pyproject.toml`."""
    version = tomllib.loads((images.PROTOS / "pyproject.toml").read_text())["project"]["version"]
    try:
        print(f"wrote {release(version)}; commit it")  # noqa: T201
    except ValueError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
