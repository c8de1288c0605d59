"""Run a Triton server in the foreground: `python -m deploy.triton --model-repository DIR`."""

import argparse
from pathlib import Path

from deploy.triton import launcher

if __name__ == "__main__":
    free = launcher.Ports.free()
    parser = argparse.ArgumentParser(
        prog="python -m deploy.triton",
        description="Run a Triton server on loopback, without Docker or a GPU.",
        epilog="example: python -m deploy.triton --model-repository .run/model-repository --grpc-port 8001",
    )
    parser.add_argument("--venv", type=Path, default=Path(".venv-triton"), help="Triton's virtual environment")
    parser.add_argument("--model-repository", type=Path, required=True, help="folder of models; loaded on request")
    parser.add_argument("--grpc-port", type=int, default=free.grpc, help="default: a free one")
    parser.add_argument("--http-port", type=int, default=free.http, help="default: a free one")
    parser.add_argument("--metrics-port", type=int, default=free.metrics, help="default: a free one")
    arguments = parser.parse_args()
    ports = launcher.Ports(arguments.grpc_port, arguments.http_port, arguments.metrics_port)
    launcher.execute(arguments.venv, arguments.model_repository, ports)
