"""A small network with two heads, types and roles, in 32-bit floats; several are trained and their
answers averaged, which costs one wider network."""

import numpy as np

HIDDEN = (64, 32)
MEMBERS = 4
EPOCHS = 120
BATCH = 128
RATE = 3e-3
DECAY = 3e-2
DROP = 0.15
ROLE_SHARE = 0.5
NOISE = 0.08
HIDE_GROUP = 0.25
"""How often a group of numbers is hidden, so that a device that was running before it was seen,
or asks for no address, is known by the rest."""


class Network:
    """Standardises, then two hidden layers and two heads."""

    def __init__(self, names, groups, seed):
        self.names, self.groups, self.seed = names, groups, seed

    def fit(self, numbers, kinds, roles, weights, masked=None):
        """`masked` says of which rows the numbers of the TCP stack are those of an emulator: they
        are replaced by those of other rows, drawn anew each epoch."""
        self.kinds = sorted(set(kinds))
        self.roles = sorted(set(roles))
        self.mean = numbers.mean(0)
        self.std = numbers.std(0)
        self.std[self.std < 1e-3] = 1.0
        inputs = ((numbers - self.mean) / self.std).clip(-6, 6).astype(np.float32)
        targets = (
            np.array([self.kinds.index(kind) for kind in kinds]),
            np.array([self.roles.index(role) for role in roles]),
        )
        masked = np.zeros(len(inputs), dtype=bool) if masked is None else np.asarray(masked)
        random = np.random.default_rng(self.seed)
        self.members = [self._member(inputs, targets, weights, masked, random) for _ in range(MEMBERS)]
        return self

    def _member(self, inputs, targets, weights, masked, random):
        sizes = (inputs.shape[1], *HIDDEN)
        heads = (len(self.kinds), len(self.roles))
        layers = [he(random, a, b) for a, b in zip(sizes, sizes[1:])]
        layers += [he(random, sizes[-1], width) for width in heads]
        state = [[(np.zeros_like(part), np.zeros_like(part)) for part in layer] for layer in layers]
        steps, total = 0, EPOCHS * -(-len(inputs) // BATCH)
        for _ in range(EPOCHS):
            order = random.permutation(len(inputs))
            for start in range(0, len(order), BATCH):
                chosen = order[start : start + BATCH]
                batch = self._disturb(inputs, chosen, masked, random)
                steps += 1
                rate = RATE * 0.5 * (1 + np.cos(np.pi * steps / total))
                gradients = backward(layers, batch, [t[chosen] for t in targets], weights[chosen], random)
                adam(layers, state, gradients, steps, rate)
        return layers

    def _disturb(self, inputs, chosen, masked, random):
        batch = inputs[chosen].copy()
        stack = self.groups["stack"]
        of_emulator = np.flatnonzero(masked[chosen])
        sources = np.flatnonzero(~masked) if (~masked).any() else np.arange(len(inputs))
        if len(of_emulator):
            donors = random.choice(sources, len(of_emulator))
            batch[np.ix_(of_emulator, stack)] = inputs[np.ix_(donors, stack)]
        batch += NOISE * random.standard_normal(batch.shape).astype(np.float32)
        for name in sorted(self.groups):
            hidden = np.flatnonzero(random.random(len(batch)) < HIDE_GROUP)
            # The mean of training is 0 here.
            batch[np.ix_(hidden, self.groups[name])] = 0
        return batch

    def weights(self):
        """Matrices and vectors of the averaged network: first, second, types, roles; the
        standardisation is part of the first."""
        first = [member[0] for member in self.members]
        scale = 1 / self.std
        one = np.concatenate([w * scale[:, None] for w, _ in first], axis=1)
        one_b = np.concatenate([b - (self.mean * scale) @ w for w, b in first])
        two = block([member[1][0] for member in self.members])
        two_b = np.concatenate([member[1][1] for member in self.members])
        heads = []
        for head in (2, 3):
            matrix = np.concatenate([member[head][0] for member in self.members]) / MEMBERS
            vector = sum(member[head][1] for member in self.members) / MEMBERS
            heads.append((matrix, vector))
        layers = [(one, one_b), (two, two_b), *heads]
        return [(m.astype(np.float32), v.astype(np.float32)) for m, v in layers]

    def predict(self, numbers):
        """Log-probabilities of types and roles."""
        (one, one_b), (two, two_b), *heads = self.weights()
        hidden = np.maximum(numbers.astype(np.float32) @ one + one_b, 0)
        hidden = np.maximum(hidden @ two + two_b, 0)
        return [log_softmax((hidden @ matrix + vector).astype(np.float64)) for matrix, vector in heads]


def he(random, rows, columns):
    matrix = random.standard_normal((rows, columns)) * np.sqrt(2 / rows)
    return [matrix.astype(np.float32), np.zeros(columns, dtype=np.float32)]


def block(parts):
    rows, columns = parts[0].shape
    whole = np.zeros((rows * len(parts), columns * len(parts)))
    for index, part in enumerate(parts):
        whole[index * rows : (index + 1) * rows, index * columns : (index + 1) * columns] = part
    return whole


def log_softmax(scores):
    scores = scores - scores.max(-1, keepdims=True)
    return scores - np.log(np.exp(scores).sum(-1, keepdims=True))


def backward(layers, batch, targets, weights, random):
    """Gradients of the weighted cross-entropy of both heads."""
    (one, one_b), (two, two_b), kinds, roles = layers
    first = np.maximum(batch @ one + one_b, 0)
    keep = (random.random(first.shape) > DROP) / np.float32(1 - DROP)
    first *= keep
    second = np.maximum(first @ two + two_b, 0)
    gradients, into_second = [], np.zeros_like(second)
    for (matrix, vector), target, share in ((kinds, targets[0], 1.0), (roles, targets[1], ROLE_SHARE)):
        wrong = np.exp(log_softmax(second @ matrix + vector))
        wrong[np.arange(len(target)), target] -= 1
        wrong *= (share * weights / weights.sum())[:, None]
        wrong = wrong.astype(np.float32)
        gradients.append([second.T @ wrong, wrong.sum(0)])
        into_second += wrong @ matrix.T
    into_second *= second > 0
    into_first = (into_second @ two.T) * keep * (first > 0)
    return [
        [batch.T @ into_first, into_first.sum(0)],
        [first.T @ into_second, into_second.sum(0)],
        *gradients,
    ]


def adam(layers, state, gradients, steps, rate):
    for layer, moments, slopes in zip(layers, state, gradients):
        for index, (slope, (mean, square)) in enumerate(zip(slopes, moments)):
            mean += 0.1 * (slope - mean)
            square += 0.001 * (slope * slope - square)
            step = (mean / (1 - 0.9**steps)) / (np.sqrt(square / (1 - 0.999**steps)) + 1e-8)
            if layer[index].ndim == 2:
                step = step + DECAY * layer[index]
            layer[index] -= (rate * step).astype(np.float32)
