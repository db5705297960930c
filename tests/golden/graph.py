#!/usr/bin/env python3
"""Writes graph.txt: values by PyTorch in float64, read by tests/graph_torch.c.

One array a line: its name, then its numbers. Every input is in the file too, so that the test
needs no PyTorch and no random generator of its own. Run in this folder to make it anew."""
import math
import torch

torch.set_default_dtype(torch.float64)
torch.manual_seed(1)
out = open("graph.txt", "w")


def write(name, tensor):
    print(name, *("%.17g" % x for x in tensor.detach().reshape(-1).tolist()), file=out)


def uniform(low, high, *shape):
    return low + (high - low) * torch.rand(*shape)


def rounded(x, bits, away):
    """x to the leading bits of a float32, ties away from zero or to even; the slope is 1."""
    word = x.detach().float().view(torch.int32)
    half = (1 << (bits - 1)) if away else (1 << (bits - 1)) - 1 + (word >> bits & 1)
    y = ((word + half) & -(1 << bits)).view(torch.float32).double()
    return x + (y - x).detach()


# ---- scalar functions: operands, value, derivative by each operand --------------------------

ANY, POSITIVE, TRUTH = (-2, 2), (0.2, 3), (0, 2)
scalars = {
    "add": (lambda a, b: a + b, ANY, ANY),
    "sub": (lambda a, b: a - b, ANY, ANY),
    "mul": (lambda a, b: a * b, ANY, ANY),
    "div": (lambda a, b: a / b, ANY, POSITIVE),
    "min": (torch.minimum, ANY, ANY),
    "max": (torch.maximum, ANY, ANY),
    "pow": (torch.pow, POSITIVE, ANY),
    "neg": (torch.neg, ANY),
    "abs": (torch.abs, ANY),
    "exp": (torch.exp, ANY),
    "log": (torch.log, POSITIVE),
    "sqrt": (torch.sqrt, POSITIVE),
    "sin": (torch.sin, ANY),
    "cos": (torch.cos, ANY),
    "tanh": (torch.tanh, ANY),
    "sigmoid": (torch.sigmoid, ANY),
    "erf": (torch.erf, ANY),
    "floor": (torch.floor, ANY),
    "lt": (lambda a, b: (a < b) + 0 * a * b, ANY, ANY),
    "le": (lambda a, b: (a <= b) + 0 * a * b, ANY, ANY),
    "eq": (lambda a, b: (a == b) + 0 * a * b, TRUTH, TRUTH),
    "select": (lambda a, b, c: torch.where(a != 0, b, c) + 0 * a, TRUTH, ANY, ANY),
    "tf32": (lambda a: rounded(a, 13, True), ANY),
    "bf16": (lambda a: rounded(a, 16, False), ANY),
}
for name, (function, *ranges) in scalars.items():
    operands = []
    for k, (low, high) in enumerate(ranges):
        x = uniform(low, high, 16)
        x = (torch.floor(x) if (low, high) == TRUTH else x).requires_grad_()
        operands.append(x)
        write(f"{name}.in{k}", x)
    y = function(*operands)
    y.sum().backward()
    write(f"{name}.out", y)
    for k, x in enumerate(operands):
        write(f"{name}.d{k}", x.grad)

# ---- a maximum with ties, over both axes ------------------------------------------------------

x = torch.tensor([[1.0, 3, 3], [3, 0, 2]], requires_grad=True)
(torch.amax(x, 1) * torch.tensor([2.0, 5])).sum().backward()
write("amax.in", x)
write("amax.d", x.grad)

# ---- five training steps: lcw weights, batch statistics, softmax, momentum and decay ---------

N, IN, HIDDEN, OUT, STEPS = 8, 6, 5, 3, 5
x = uniform(-1, 1, N, IN)
label = torch.arange(N) % OUT
c = torch.full((IN, 1), -1 / (IN + math.sqrt(IN)))
c[0] = -1 / math.sqrt(IN)
free = uniform(-1, 1, IN - 1, HIDDEN)
parameter = {
    "v": free,
    "scale": uniform(0.5, 1.5, 1, HIDDEN),
    "shift": uniform(-0.5, 0.5, 1, HIDDEN),
    "w": uniform(-1, 1, HIDDEN, OUT),
    "bias": uniform(-0.5, 0.5, 1, OUT),
}
lane = torch.zeros(1, HIDDEN)


def whole(name):
    return torch.cat([lane, parameter[name]]) if name == "v" else parameter[name]


write("net.x", x)
write("net.label", label.double())
write("net.c", c)
for name in parameter:
    write(f"net.{name}", whole(name))
    parameter[name].requires_grad_()
optimizer = torch.optim.SGD(parameter.values(), lr=0.5, momentum=0.9, weight_decay=0.01)
losses = []
for step in range(STEPS):
    v = whole("v")
    z = x @ (v + c * v.sum(0, keepdim=True))
    z = torch.nn.functional.batch_norm(z, None, None, parameter["scale"][0],
                                       parameter["shift"][0], training=True, eps=1e-5)
    logits = torch.sigmoid(z) @ parameter["w"] + parameter["bias"]
    loss = torch.nn.functional.cross_entropy(logits, label)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
write("net.losses", torch.tensor(losses))
for name in parameter:
    write(f"net.{name}.after", whole(name))
