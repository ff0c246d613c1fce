#!/usr/bin/env python3
"""PyTorch's side of clnorm-bench, which starts it, writes a JSON object a line and reads one back.

    {"threads": 2}                                              -> {"version": "2.4.0", "threads": 2}
    {"make": {"operation": ..., "layout": ..., "dtype": ..., "dims": [...], "flags": [...]}}
                                                                -> {"variants": {"fresh": 1e-7, "reused": 1e-7}}
    {"run": "fresh", "count": 5}                                -> {"seconds": [...]}
    {"free": true}                                              -> {}

"fresh" is the ordinary call, which makes its outputs; "reused" writes into tensors that are there already, where
PyTorch has such a call on this device. The numbers behind the variants are their errors against double precision.
Whatever goes wrong is answered with {"refused": why}.
"""
import json
import sys
import time

import torch

EPSILON = 1e-5
DTYPES = {"f32": torch.float32, "f64": torch.float64, "f16": torch.float16, "bf16": torch.bfloat16}
LAST = {4: torch.channels_last, 5: torch.channels_last_3d}


class Case:
    """A problem's inputs, and the calls that solve it."""

    def __init__(self, operation, layout, dtype, dims, flags):
        self.operation = operation
        self.flags = set(flags)
        self.dtype = DTYPES[dtype]
        self.parameter = torch.float64 if dtype == "f64" else torch.float32
        if layout == "nhwc" and len(dims) not in LAST and len(dims) > 2:
            spatial = 1
            for extent in dims[2:]:
                spatial *= extent
            dims = [dims[0], dims[1], spatial, 1]
        self.dims = dims
        self.format = LAST[len(dims)] if layout == "nhwc" and len(dims) > 2 else torch.contiguous_format
        self.axes = [axis for axis in range(len(dims)) if axis != 1]
        self.wide = [1, dims[1]] + [1] * (len(dims) - 2)
        self.make_inputs()

    def make_inputs(self):
        random = torch.Generator().manual_seed(20150211)
        channels = self.dims[1]
        mean = torch.rand(self.wide, generator=random) * 4 - 2
        std = torch.rand(self.wide, generator=random) + 0.5
        self.x = self.tensor(torch.randn(self.dims, generator=random) * std + mean)
        self.scale = self.vector(torch.rand(channels, generator=random) + 0.5) if "scale" in self.flags else None
        self.shift = self.vector(torch.rand(channels, generator=random) * 2 - 1) if "shift" in self.flags else None
        # One without the other is an affine transform with constants.
        if self.scale is None and self.shift is not None:
            self.scale = self.vector(torch.ones(channels))
        if self.shift is None and self.scale is not None:
            self.shift = self.vector(torch.zeros(channels))
        # One thread's double arithmetic on one channel at a time would take too long; torch's own reductions do.
        wide = self.x.double()
        self.mean64 = wide.mean(self.axes)
        self.var64 = ((wide - self.mean64.view(self.wide)) ** 2).mean(self.axes)
        self.mean, self.var = self.vector(self.mean64), self.vector(self.var64)
        self.invstd = self.vector(1 / torch.sqrt(self.var64 + EPSILON))
        running = "running" in self.flags
        self.running_mean = self.vector(torch.zeros(channels)) if running else None
        self.running_var = self.vector(torch.ones(channels)) if running else None
        if "add" in self.flags and self.operation != "backward":
            self.add = self.tensor(torch.randn(self.dims, generator=random))
        if self.operation == "backward":
            self.dy = self.tensor(torch.randn(self.dims, generator=random))
            if "relu" in self.flags:
                self.y = self.tensor(self.forward64().clamp(min=0))
        self.out = [torch.empty_like(self.x), torch.empty_like(self.mean), torch.empty_like(self.mean)]
        for one in self.out:
            one.zero_()

    def tensor(self, values):
        return values.to(self.dtype).contiguous(memory_format=self.format)

    def vector(self, values):
        return values.to(self.parameter).contiguous()

    def statistics(self):
        return (self.mean, self.var) if self.operation == "infer" else (self.running_mean, self.running_var)

    # ---- The calls ----

    def arguments(self):
        mean, var = self.statistics()
        return self.x, self.scale, self.shift, mean, var, self.operation != "infer", 0.1, EPSILON

    def finish(self, y):
        """PyTorch adds the residual and takes relu in passes of their own, here in place."""
        if "add" in self.flags:
            y.add_(self.add)
        return y.relu_() if "relu" in self.flags else y

    def fresh(self):
        y, mean, invstd = torch.ops.aten.native_batch_norm(*self.arguments())
        return self.finish(y), mean, invstd

    def reused(self):
        y, mean, invstd = self.out
        torch.ops.aten.native_batch_norm.out(*self.arguments(), out=y, save_mean=mean, save_invstd=invstd)
        return self.finish(y), mean, invstd

    def backward(self):
        dy = self.dy
        if "relu" in self.flags:
            dy = torch.ops.aten.threshold_backward(dy, self.y, 0)
        return torch.ops.aten.native_batch_norm_backward(
            dy, self.x, self.scale, None, None, self.mean, self.invstd, True, EPSILON,
            [True, self.scale is not None, self.shift is not None])

    def variants(self):
        if self.operation == "backward":
            return {"fresh": self.backward}
        return {"fresh": self.fresh, "reused": self.reused}

    # ---- What is right ----

    def forward64(self):
        mean, invstd = self.mean64, 1 / torch.sqrt(self.var64 + EPSILON)
        if self.operation == "infer":
            mean, invstd = self.mean.double(), 1 / torch.sqrt(self.var.double() + EPSILON)
        y = (self.x.double() - mean.view(self.wide)) * invstd.view(self.wide)
        if self.scale is not None:
            y = y * self.scale.double().view(self.wide) + self.shift.double().view(self.wide)
        return y

    def forward_error(self, y):
        expected = self.forward64()
        if "add" in self.flags:
            expected = expected + self.add.double()
        if "relu" in self.flags:
            expected = expected.clamp(min=0)
        return ((y.double() - expected).abs() / (1 + expected.abs())).max().item()

    def backward_error(self, dx, dscale, dshift):
        g = self.dy.double()
        if "relu" in self.flags:
            g = g * (self.y > 0)
        xhat = (self.x.double() - self.mean.double().view(self.wide)) * self.invstd.double().view(self.wide)
        sums, products = g.sum(self.axes), (g * xhat).sum(self.axes)
        count = self.x.numel() / self.dims[1]
        gain = self.invstd.double() * (self.scale.double() if self.scale is not None else 1)
        expected = (g - sums.view(self.wide) / count - xhat * products.view(self.wide) / count) * gain.view(self.wide)
        most = g.abs().amax(self.axes) + sums.abs() / count + xhat.abs().amax(self.axes) * products.abs() / count
        error = ((dx.double() - expected).abs() / (most * gain.abs()).clamp(min=1e-30).view(self.wide)).max().item()
        if self.scale is not None:
            terms = (g * xhat).abs().sum(self.axes).clamp(min=1e-30)
            error = max(error, ((dscale.double() - products).abs() / terms).max().item())
            terms = g.abs().sum(self.axes).clamp(min=1e-30)
            error = max(error, ((dshift.double() - sums).abs() / terms).max().item())
        return error

    def error(self, call):
        result = call()
        if self.operation == "backward":
            return self.backward_error(*result)
        return self.forward_error(result[0])


def run(call, count):
    seconds = []
    for _ in range(count):
        start = time.perf_counter()
        result = call()
        seconds.append(time.perf_counter() - start)
        del result
    return seconds


def make(state, request):
    state.clear()
    case = Case(**request["make"])
    state["calls"] = case.variants()
    return {"variants": {name: case.error(call) for name, call in state["calls"].items()}}


def answer(state, request):
    if "threads" in request:
        torch.set_num_threads(request["threads"])
        return {"version": torch.__version__, "threads": torch.get_num_threads()}
    if "make" in request:
        return make(state, request)
    if "run" in request:
        return {"seconds": run(state["calls"][request["run"]], request["count"])}
    state.clear()
    return {}


def main():
    state = {}
    with torch.inference_mode():
        for line in sys.stdin:
            try:
                reply = answer(state, json.loads(line))
            except Exception as error:  # whatever PyTorch refuses is the other side's to report
                reply = {"refused": f"{type(error).__name__}: {error}"}
            print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    main()
