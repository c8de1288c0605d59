"""Serves `model.onnx` on the CPU, as a Python-based Triton backend under the name of the native one.

Triton imports this file once for each model instance. The requests of a batch are joined, run once,
and split again.
"""

import json
from pathlib import Path

import numpy as np
import onnxruntime
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """One model instance."""

    def initialize(self, args):
        config = json.loads(args["model_config"])
        self.inputs = [tensor["name"] for tensor in config["input"]]
        self.outputs = [tensor["name"] for tensor in config["output"]]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        artifact = Path(args["model_repository"]) / args["model_version"] / "model.onnx"
        self.session = onnxruntime.InferenceSession(str(artifact), options, providers=["CPUExecutionProvider"])

    def execute(self, requests):
        tensors = [[pb_utils.get_input_tensor_by_name(r, name).as_numpy() for name in self.inputs] for r in requests]
        rows = [request[0].shape[0] for request in tensors]
        try:
            joined = {name: np.concatenate(parts) for name, parts in zip(self.inputs, zip(*tensors))}
            outputs = self.session.run(self.outputs, joined)
        except Exception as error:
            failures = [pb_utils.TritonError(f"onnxruntime: {error}") for _ in requests]  # one shared kills the server
            return [pb_utils.InferenceResponse(error=failure) for failure in failures]
        ends = np.cumsum(rows)[:-1]
        split = zip(*(np.split(output, ends) for output in outputs))
        return [
            pb_utils.InferenceResponse([pb_utils.Tensor(name, part) for name, part in zip(self.outputs, parts)])
            for parts in split
        ]
