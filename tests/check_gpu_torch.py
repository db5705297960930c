#!/usr/bin/env python3
"""The opponent of `make check-gpu`: a training step of a sigmoid MLP in PyTorch, on a GPU.

usage: check_gpu_torch.py DEPTH WIDTH fp32|tf32|bf16 [cpu]     prints `way ms`, one line a way

Free weights (dense nn.Linear), 784 inputs, batch 128, SGD with momentum 0.9 and decay 1e-4, cross
entropy, in the ways in which one writes it: eager, with torch.compile, and both as a CUDA graph of the
whole step. A way that this PyTorch cannot go is left out, and stderr says why. `cpu` tries the
script where there is no GPU, eagerly and briefly.
"""
import statistics
import sys
import time

import torch

depth, width, precision = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
device = sys.argv[4] if len(sys.argv) > 4 else "cuda"
on_gpu = device == "cuda"
torch.manual_seed(1)
torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
x = torch.randn(128, 784, device=device)
y = torch.randint(0, 10, (128,), device=device)


def make_step(compiled):
    """A function that takes one training step of a fresh network."""
    layers, inputs = [], 784
    for _ in range(depth):
        layers += [torch.nn.Linear(inputs, width), torch.nn.Sigmoid()]
        inputs = width
    net = torch.nn.Sequential(*layers, torch.nn.Linear(width, 10)).to(device)
    sgd = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4, foreach=True)
    run = torch.compile(net) if compiled else net

    def step():
        sgd.zero_grad(set_to_none=True)
        with torch.autocast(device, torch.bfloat16, enabled=precision == "bf16"):
            loss = torch.nn.functional.cross_entropy(run(x), y)
        loss.backward()
        sgd.step()

    return step


def as_graph(step):
    """The step, recorded once and replayed."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(11):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def milliseconds(step):
    """Median of rounds of steps, waited for once a round."""
    steps, rounds = (50, 9) if on_gpu else (1, 2)
    times = []
    for i in range(rounds + 1):
        begin = time.perf_counter()
        for _ in range(steps):
            step()
        if on_gpu:
            torch.cuda.synchronize()
        times.append((time.perf_counter() - begin) * 1e3 / steps)
    return statistics.median(times[1:])


ways = {"eager": (False, False)}
if on_gpu:
    ways |= {"compiled": (True, False), "eager,graph": (False, True), "compiled,graph": (True, True)}
for name, (compiled, graph) in ways.items():
    try:
        step = make_step(compiled)
        for _ in range(3 if on_gpu else 1):
            step()
        print(name, f"{milliseconds(as_graph(step) if graph else step):.4f}", flush=True)
    except Exception as why:  # what is missing differs from one installation to the next
        print(f"{name}: {type(why).__name__}: {str(why).splitlines()[0]}", file=sys.stderr)
