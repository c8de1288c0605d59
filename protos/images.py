"""Images of the contract: the protos compiled into one file, as they are, at a commit, and at each release."""

import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import NamedTuple

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from packaging.version import Version

PROTOS = Path(__file__).parent
RELEASES = PROTOS / "releases"


class Comment(NamedTuple):
    """A comment above something of the contract."""

    text: str
    """What it says."""
    place: str
    """`file:line` of what it is above."""


def compile_protos(protos: Path, image: Path) -> Path:
    """Compile the protos of a folder, with everything they import and their comments, into an image."""
    files = sorted(path.relative_to(protos).as_posix() for path in protos.glob("ghostback/**/*.proto"))
    includes = [f"-I{protos}", f"-I{sysconfig.get_path('purelib')}"]
    flags = ["--include_imports", "--include_source_info", f"--descriptor_set_out={image}"]
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *includes, *flags, *files], check=True)
    return image


def compile_commit(commit: str, folder: Path) -> Path | None:
    """Compile the protos of a commit, in a folder of one's own; none where there is no such commit."""
    archive = subprocess.run(["git", "archive", commit, "."], cwd=PROTOS, capture_output=True, check=False)
    if archive.returncode:
        return None
    source = folder / commit
    source.mkdir()
    subprocess.run(["tar", "-x", "-C", source], input=archive.stdout, check=True)
    return compile_protos(source, folder / f"{commit}.binpb")


def releases(folder: Path = RELEASES) -> list[Path]:
    """The images of all releases, the last first."""
    return sorted(folder.glob("*.binpb"), key=lambda path: Version(path.stem), reverse=True)


def read(image: Path) -> FileDescriptorSet:
    """The files of an image, each after those it imports."""
    return FileDescriptorSet.FromString(image.read_bytes())


def comments(image: Path) -> dict[str, Comment]:
    """The comment of every message, field, enum, value, service and method of ours, by full name."""
    found = {}
    for file in read(image).file:
        if file.name.startswith("ghostback/"):
            for location in file.source_code_info.location:
                if location.leading_comments and location.path[0] in (4, 5, 6) and len(location.path) % 2 == 0:
                    node, name = file, file.package
                    for number, index in zip(location.path[::2], location.path[1::2], strict=True):
                        node = getattr(node, node.DESCRIPTOR.fields_by_number[number].name)[index]
                        name += f".{node.name}"
                    found[name] = Comment(location.leading_comments, f"{file.name}:{location.span[0] + 1}")
    return found
