"""The piece that query, key and value make, from headers alone: which rows of which tensor belong to which head."""

from spinspectra.errors import ChainError
from spinspectra.layers.composition import Fusion, Piece, Stored
from spinspectra.layers.settings import Heads
from spinspectra.text import shown
from spinspectra.weights import Weights


def attention_piece(
    weights: Weights, names: tuple[str, ...], fusion: Fusion, stored: Stored, heads: Heads, n_query: int
) -> Piece:
    """W_Q + W_K + W_V of one block. n_query: outputs of the query, all heads together, which `proj` starts from.

    Where a group of queries shares one key and value, these count for each of them, so the dimension of a head must be
    known: from config.json, since no tensor tells it. Raises ChainError, naming tensors and shapes, if the stored
    tensors cannot be one query, key and value, or if a number of heads is needed and missing.
    """
    shapes = [weights.info(name).shape for name in names]
    found = ", ".join(f"{shown(name)} {shape}" for name, shape in zip(names, shapes, strict=True))
    if any(len(shape) != 2 for shape in shapes):
        raise ChainError(f"{weights.source}: query, key and value must be matrices, found {found}")
    if any(0 in shape for shape in shapes):
        raise ChainError(f"{weights.source}: {found}, a layer without nodes")
    turned = [shape[::-1] if stored == "in_out" else shape for shape in shapes]
    where = f"{weights.source}: {found}"
    if fusion == "separate":
        return _separate(names, turned, stored, heads, where)
    ((n_rows, n_in),) = turned
    if fusion == "rows":
        groups, repeats = _rows(n_rows, n_query, heads, where)
        return Piece(names, "rows", (groups_out(n_rows, groups, repeats), n_in), stored, groups, repeats)
    groups, repeats = _groups(n_rows, heads, where)
    return Piece(names, "groups", (groups_out(n_rows, groups, repeats), n_in), stored, groups, repeats)


def groups_out(n_rows: int, groups: int, repeats: int) -> int:
    """Outputs of the queries in a fused tensor of so many."""
    return n_rows // (groups * (repeats + 2)) * groups * repeats


def _separate(names: tuple[str, ...], shapes: list[tuple[int, ...]], stored: Stored, heads: Heads, where: str) -> Piece:
    (n_query, n_in), key, value = shapes
    if key != value or key[1] != n_in or n_query % key[0]:
        raise ChainError(f"{where}: query, key and value differ in shape, so they do not add")
    repeats, groups = n_query // key[0], 1
    if repeats > 1:
        groups = _n_kv(key[0], n_query, heads, where)
    return Piece(names, "three", (n_query, n_in), stored, groups, repeats)


def _n_kv(n_key: int, n_query: int, heads: Heads, where: str) -> int:
    """How many heads a key of so many outputs has, whose queries have more."""
    said = "grouped: queries share keys and values"
    n_kv = heads.n_kv_heads
    if heads.n_heads is not None and n_kv == heads.n_heads:  # config.json has the one number only
        n_kv = heads.n_heads * n_key // n_query
    if n_kv is None and heads.head_dim:
        n_kv = n_key // heads.head_dim
    if n_kv is None:
        raise ChainError(f"{where} are {said}, {_MISSING}")
    alike = heads.n_heads is None or n_query * n_kv == n_key * heads.n_heads  # heads of query and key, in their size
    if n_kv < 1 or n_key % n_kv or not alike:
        of = "" if alike else f" to {heads.n_heads} of queries"
        raise ChainError(f"{where} are {said}, and cannot have {n_kv} heads of keys{of}")
    return n_kv


def _rows(n_rows: int, n_query: int, heads: Heads, where: str) -> tuple[int, int]:
    """Groups and queries in each, of a tensor [query; key; value] by its outputs."""
    if n_rows == 3 * n_query:
        return 1, 1
    n_key, odd = divmod(n_rows - n_query, 2)
    if odd or n_key < 1 or n_query % n_key:
        raise ChainError(f"{where} cannot be [q | k | v], its {n_rows} outputs are no {n_query} and two alike")
    return _n_kv(n_key, n_query, heads, where), n_query // n_key


def _groups(n_rows: int, heads: Heads, where: str) -> tuple[int, int]:
    """The same of a tensor [group, (queries, key, value), head_dim]."""
    if heads.n_heads is None or heads.n_kv_heads is None:
        raise ChainError(f"{where} is fused per head and {_MISSING}")
    n_heads, n_kv = heads.n_heads, heads.n_kv_heads
    fits = n_heads >= 1 and n_kv >= 1 and n_heads % n_kv == 0
    if not fits or n_rows % (n_heads + 2 * n_kv):
        shared = f" and {n_kv} of keys" if n_kv != n_heads else ""
        raise ChainError(f"{where} cannot be [head, (q, k, v), head_dim] with {n_heads} heads{shared}")
    return n_kv, n_heads // n_kv


_MISSING = (
    "the number of heads is in no tensor; put the model's config.json beside the file, or pass "
    "open_weights(..., config={'n_head': ...})"
)
