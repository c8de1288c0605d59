"""Generates the Python stubs from the protos when the distribution is built."""

import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class StubsBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Runs protoc with the Python, gRPC and mypy plugins; nothing generated is kept in the tree."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Generate into a temporary folder and put every file into the wheel."""
        root = Path(self.root)
        self._folder = tempfile.TemporaryDirectory()
        stubs = Path(self._folder.name)
        protos = sorted(path.relative_to(root).as_posix() for path in root.glob("ghostback/**/*.proto"))
        scripts = Path(sys.executable).parent
        outputs = [f"--{kind}_out={stubs}" for kind in ("python", "grpc_python", "mypy", "mypy_grpc")]
        plugins = [
            f"--plugin={name}={self._plugin(name, scripts)}" for name in ("protoc-gen-mypy", "protoc-gen-mypy_grpc")
        ]
        subprocess.run(
            [
                sys.executable,
                "-m",
                "grpc_tools.protoc",
                "-I.",
                f"-I{self._google_protos()}",
                *plugins,
                *outputs,
                *protos,
            ],
            cwd=root,
            check=True,
        )
        for package in {path.parent for path in stubs.rglob("*.py")}:
            (package / "py.typed").touch()
        for path in stubs.rglob("*"):
            if path.is_file():
                build_data["force_include"][str(path)] = path.relative_to(stubs).as_posix()

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove the temporary folder."""
        self._folder.cleanup()

    @staticmethod
    def _google_protos() -> str:
        import google.rpc

        return str(Path(next(iter(google.rpc.__path__))).parents[1])

    @staticmethod
    def _plugin(name: str, scripts: Path) -> Path:
        """Where pip put the plugin's script: the interpreter's own, or the isolated build environment's."""
        import mypy_protobuf

        package = Path(mypy_protobuf.__file__).parent
        environments = [scripts, Path(sysconfig.get_path("scripts")), *(parent / "bin" for parent in package.parents)]
        return next(folder / name for folder in environments if (folder / name).exists())
