#!/usr/bin/python3
"""The opponent of `make bench`: a training step of the 50 x 256 sigmoid MLP in PyTorch.

usage: bench_torch.py INPUTS THREADS ONEDNN(0|1)      prints the median of a step in ms

Free weights, batch 128, SGD with momentum 0.9 and decay 1e-4, cross entropy: the fastest way in
which one writes it (nn.Sequential, optim.SGD with foreach where it is there). LCW as a module
around the weight costs PyTorch more; see bench.sh.
"""
import sys
import time

import torch

inputs, threads, onednn = int(sys.argv[1]), int(sys.argv[2]), bool(int(sys.argv[3]))
torch.set_num_threads(threads)
torch.set_flush_denormal(True)
torch.backends.mkldnn.flags(enabled=onednn).__enter__()
torch.manual_seed(1)
layers, width = [], inputs
for _ in range(50):
    layers += [torch.nn.Linear(width, 256), torch.nn.Sigmoid()]
    width = 256
net = torch.nn.Sequential(*layers, torch.nn.Linear(256, 10))
try:
    step = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4, foreach=True)
except TypeError:
    step = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
x = torch.randn(128, inputs)
y = torch.randint(0, 10, (128,))
times = []
begin = time.perf_counter()
while len(times) < 200 and (time.perf_counter() - begin < 3 or len(times) < 5):
    start = time.perf_counter()
    step.zero_grad(set_to_none=True)
    torch.nn.functional.cross_entropy(net(x), y).backward()
    step.step()
    times.append((time.perf_counter() - start) * 1e3)
times = sorted(times[len(times) // 5:])
print(f"{times[len(times) // 2]:.3f}")
