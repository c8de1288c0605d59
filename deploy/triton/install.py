"""Make the environment in which a Triton server runs without Docker or a GPU.

Standard library only: it runs before anything is installed.

    python3 deploy/triton/install.py --venv .venv-triton
"""

import argparse
import platform
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

HERE = Path(__file__).parent
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
CONTAINER = "use NVIDIA's container image there: deploy/compose.yaml"


def libpython() -> Path | None:
    """The shared library of this interpreter, None when there is none."""
    name = f"libpython{PYTHON}.so.1.0"
    folders = [Path(str(sysconfig.get_config_var("LIBDIR"))), *Path("/usr/lib").glob("*-linux-gnu"), Path("/usr/lib64")]
    return next((folder / name for folder in folders if (folder / name).exists()), None)


def unsupported() -> str:
    """Why this machine cannot run the server, its libpython aside; empty when it can."""
    libc, version = platform.libc_ver()
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return (
            f"Triton from PyPI runs on Linux x86-64 only, this is {platform.system()} {platform.machine()}; {CONTAINER}"
        )
    if libc != "glibc" or tuple(map(int, version.split("."))) < (2, 35):
        return (
            f"Triton from PyPI needs glibc 2.35 or newer, this is {libc or 'another C library'} {version}; {CONTAINER}"
        )
    return ""


def install(venv: Path, library: Path) -> None:
    """Install the pinned packages and lay out the backend directory `VENV/backends`."""
    subprocess.run([sys.executable, "-m", "venv", "--clear", venv], check=True)
    pip: list[str | Path] = [
        venv / "bin" / "python",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
    ]
    subprocess.run([*pip, "--requirement", HERE / "requirements.txt"], check=True)
    packages = venv / "lib" / f"python{PYTHON}" / "site-packages"
    triton = packages / "pytriton" / "tritonserver"
    stub = triton / "python_backend_stubs" / PYTHON / "triton_python_backend_stub"
    if not stub.exists():
        versions = ", ".join(sorted(folder.name for folder in stub.parents[1].iterdir()))
        sys.exit(f"error: Triton's Python backend has no stub for Python {PYTHON}, only for {versions}; {CONTAINER}")
    # The stub ignores PYTHONDONTWRITEBYTECODE, and a __pycache__ in a version folder makes Triton reload the model.
    (packages / "no_bytecode.pth").write_text("import sys; sys.dont_write_bytecode = True\n")
    backends = venv / "backends"
    shutil.copytree(triton / "backends" / "python", backends / "python")
    shutil.copy(stub, backends / "python")
    (backends / "python" / stub.name).chmod(0o755)
    (triton / "bin" / "tritonserver").chmod(0o755)
    shutil.copytree(HERE / "backends" / "onnxruntime", backends / "onnxruntime")
    (venv / "libpython").mkdir()
    (venv / "libpython" / library.name).symlink_to(library)


def main() -> None:
    """Parse the command line and install."""
    parser = argparse.ArgumentParser(
        description="Make a virtual environment with a Triton server.",
        epilog="example: python3 deploy/triton/install.py --venv .venv-triton",
    )
    parser.add_argument("--venv", type=Path, required=True, help="folder of the environment; made anew")
    arguments = parser.parse_args()
    if reason := unsupported():
        sys.exit(f"error: {reason}")
    library = libpython()
    if library is None:
        sys.exit(f"error: Triton needs a shared libpython{PYTHON} (Debian: libpython{PYTHON}); {CONTAINER}")
    install(arguments.venv, library)


if __name__ == "__main__":
    main()
