"""What every sampler shares: local fields, one flip, and a whole layer's flips at once.

Arguments of all kernels, for a chain of L + 1 layers with N spins and B couplings:

    chain     PackedChain, see `ising/packed.py`
    spins     int8 (N,)      -1 or +1
    fields    float64 (N,)   h_i = sum_j J_ij s_j; flipping i costs 2 s_i h_i

Fields are float64 even where the couplings are float32: a flip waits for couplings to come from memory, so the
wider sums cost nothing, and the drift is 1e-16 of a field an update.
"""

from numba import njit

from spinspectra.compiled import KERNEL


@njit(**KERNEL)
def add_row(scale, row, target):
    """Target += scale * row; row: the couplings of one spin (n,), target: its neighbours' fields (n,)."""
    for j in range(target.size):
        target[j] += scale * row[j]


@njit(**KERNEL)
def add_rows(scales, rows, n_rows, matrix, target):
    """Target += sum_k scales[k] * matrix[rows[k]] over the first n_rows; matrix (m, n) row-major, target (n,).

    Eight rows a pass: the target is loaded and stored once for eight streams of couplings.
    """
    k = 0
    while k + 8 <= n_rows:
        a, b, c, d = matrix[rows[k]], matrix[rows[k + 1]], matrix[rows[k + 2]], matrix[rows[k + 3]]
        e, f, g, h = matrix[rows[k + 4]], matrix[rows[k + 5]], matrix[rows[k + 6]], matrix[rows[k + 7]]
        sa, sb, sc, sd = scales[k], scales[k + 1], scales[k + 2], scales[k + 3]
        se, sf, sg, sh = scales[k + 4], scales[k + 5], scales[k + 6], scales[k + 7]
        for j in range(target.size):
            first = (sa * a[j] + sb * b[j]) + (sc * c[j] + sd * d[j])
            second = (se * e[j] + sf * f[j]) + (sg * g[j] + sh * h[j])
            target[j] += first + second
        k += 8
    while k < n_rows:
        add_row(scales[k], matrix[rows[k]], target)
        k += 1


@njit(**KERNEL)
def forward_matrix(chain, layer):
    """J_l, (n_l, n_{l+1}): row i couples spin i of layer l to the next layer."""
    first, last = chain.first_bond[layer], chain.first_bond[layer + 1]
    n = chain.first_spin[layer + 1] - chain.first_spin[layer]
    return chain.forward[first:last].reshape(n, (last - first) // n)


@njit(**KERNEL)
def backward_matrix(chain, layer):
    """J_{l-1} transposed, (n_l, n_{l-1}): row i couples spin i of layer l to the layer before."""
    first, last = chain.first_bond[layer - 1], chain.first_bond[layer]
    n = chain.first_spin[layer + 1] - chain.first_spin[layer]
    return chain.backward[first:last].reshape(n, (last - first) // n)


@njit(**KERNEL)
def fields_of_layer(chain, fields, layer):
    """The fields of one layer, a view."""
    return fields[chain.first_spin[layer] : chain.first_spin[layer + 1]]


@njit(**KERNEL)
def update_neighbours(chain, fields, layer, rows, scales, n_rows):
    """Add scales[k] * (couplings of spin rows[k]) to the fields of both neighbouring layers.

    rows: int64, places within the layer; scales: float64, 2 s_i (the new spin) for a flip of i.
    """
    if layer + 1 < chain.first_bond.size:
        add_rows(scales, rows, n_rows, forward_matrix(chain, layer), fields_of_layer(chain, fields, layer + 1))
    if layer > 0:
        add_rows(scales, rows, n_rows, backward_matrix(chain, layer), fields_of_layer(chain, fields, layer - 1))


@njit(**KERNEL)
def flip(chain, spins, fields, spin):
    """Turn one spin and bring its neighbours' fields up to date: O(n_{l-1} + n_{l+1}), contiguous."""
    layer = chain.layer_of[spin]
    row = spin - chain.first_spin[layer]
    spins[spin] = -spins[spin]
    scale = 2.0 * spins[spin]
    if layer + 1 < chain.first_bond.size:
        add_row(scale, forward_matrix(chain, layer)[row], fields_of_layer(chain, fields, layer + 1))
    if layer > 0:
        add_row(scale, backward_matrix(chain, layer)[row], fields_of_layer(chain, fields, layer - 1))


@njit(**KERNEL)
def compute_fields(chain, spins, fields, rows, scales):
    """All fields from the spins, so that drift ends here. rows, scales: scratch, as long as the widest layer."""
    fields[:] = 0.0
    for layer in range(chain.first_spin.size - 1):
        first, last = chain.first_spin[layer], chain.first_spin[layer + 1]
        for i in range(last - first):
            rows[i] = i
            scales[i] = spins[first + i]
        update_neighbours(chain, fields, layer, rows, scales, last - first)
