#!/usr/bin/python3
"""mlp.py DEPTH WIDTH INPUTS BATCH OUT: the sigmoid MLP of examples/mlp.lcwnet in PyTorch, W = lcw, from
a start and on data that both sides compute from integers; 20 steps in float64 and in float32.

Writes OUT, a safetensors file: every parameter of the float64 run, and for each NAME a number
NAME.error, the root mean square of what the float32 run differs from it. tests/whole_golden.c
reads it. Debian's python3-torch is enough:

    OMP_NUM_THREADS=1 tests/golden/mlp.py 10 32 20 64 tests/golden/mlp.safetensors
    OMP_NUM_THREADS=1 tests/golden/mlp.py 50 256 784 128 full.safetensors      # the size of the paper

The formulas, with h(n) = (n * 2654435761 mod 2^32) >> 8, all results rounded to float32:
    input j of sample b    (h(b * INPUTS + j + 1) mod 256) / 128 - 1
    label of sample b      h(b + 77) mod 10
    v[k][i] of layer l     (h(l * 1299709 + k * 7919 + i + 12345) / 2^23 - 1) * SCALE, 0 for k = 0
    bias                   0
SCALE gives preactivations of about unit variance: 3 / sqrt(INPUTS) first, 8 / sqrt(WIDTH) then."""
import json, math, struct, sys
import torch

STEPS, RATE, MOMENTUM, DECAY, CLASSES = 20, 0.125, 0.9, 1e-4, 10  # a RATE that float32 holds


def h(n):
    return ((n * 2654435761) % 2 ** 32) >> 8


def start(layer, rows, columns, scale):
    v = [[(h(layer * 1299709 + k * 7919 + i + 12345) / 2.0 ** 23 - 1) * scale if k else 0.0
          for i in range(columns)] for k in range(rows)]
    return torch.tensor(v, dtype=torch.float64).float()


def basis_column(rows, dtype):
    c = torch.full((rows, 1), -1 / (rows + math.sqrt(rows)), dtype=torch.float64)
    c[0] = -1 / math.sqrt(rows)
    return c.to(dtype)


def train(sizes, x, y, dtype):
    v, bias, c = [], [], []
    for l, (rows, columns) in enumerate(zip(sizes, sizes[1:])):
        scale = (8 if l else 3) / math.sqrt(rows)
        v.append(start(l, rows, columns, scale).to(dtype).requires_grad_())
        bias.append(torch.zeros(columns, dtype=dtype, requires_grad=True))
        c.append(basis_column(rows, dtype))
    optimizer = torch.optim.SGD(v + bias, lr=RATE, momentum=MOMENTUM, weight_decay=DECAY)
    for step in range(STEPS):
        a = x.to(dtype)
        for l in range(len(v)):
            w = v[l] + c[l] @ v[l].sum(0, keepdim=True)
            z = a @ w + bias[l]
            a = torch.sigmoid(z)
        loss = torch.nn.functional.cross_entropy(z, y)
        optimizer.zero_grad()
        loss.backward()
        for p in v:
            p.grad[0] = 0
        optimizer.step()
        print(dtype, step, loss.item(), z.std(0).mean().item(), file=sys.stderr)
    names = ["hidden.%d.linear" % l for l in range(len(v) - 1)] + ["linear"]
    return {n + suffix: p.detach() for n, pair in zip(names, zip(v, bias)) for suffix, p in zip((".v", ".bias"), pair)}


def write(path, tensors):
    header, data = {}, b""
    for name, t in tensors.items():
        values = t.double().flatten().tolist()
        header[name] = {"dtype": "F64", "shape": list(t.shape), "data_offsets": [len(data), len(data) + 8 * len(values)]}
        data += struct.pack("<%dd" % len(values), *values)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    open(path, "wb").write(struct.pack("<Q", len(text)) + text + data)


def main():
    depth, width, inputs, batch = map(int, sys.argv[1:5])
    torch.set_num_threads(1)
    x = torch.tensor([[(h(b * inputs + j + 1) % 256) / 128 - 1 for j in range(inputs)] for b in range(batch)])
    y = torch.tensor([h(b + 77) % CLASSES for b in range(batch)])
    sizes = [inputs] + [width] * depth + [CLASSES]
    exact, single = (train(sizes, x, y, dtype) for dtype in (torch.float64, torch.float32))
    errors = {n + ".error": (single[n].double() - exact[n]).square().mean().sqrt().reshape(1) for n in exact}
    write(sys.argv[5], {**exact, **errors})


main()
