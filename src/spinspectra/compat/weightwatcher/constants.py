"""The names that WeightWatcher's module has beside its class: what its arguments and columns may hold."""

from typing import Any

WW_NAME = "weightwatcher"  # also the name of the logger, as there
WW_CONFIG_FILENAME = "ww_config.json"
DEF_SAVE_DIR = "ww-img"
EPSILON = 1e-10
UNKNOWN = "unknown"

# kinds of tail, ways to end it, ways to treat fingers
PL, POWER_LAW = "PL", "power_law"
TPL, TRUNCATED_POWER_LAW = "TPL", "truncated_power_law"
E_TPL = "E_TPL"
XMIN_PEAK, CLIP_XMAX = "xmin_peak", "clip_xmax"
FORCE = XMAX_FORCE = "force"
WW_POWERLAW = WW_POWERLAW_PACKAGE = DEFAULT_POWERLAW_PACKAGE = "ww"
POWERLAW = POWERLAW_PACKAGE = "powerlaw"

# distances, smoothing, singular values
RAW, EUCLIDEAN, CKA = "raw", "euclidean", "cka"
DETX, RMT, SVD, LAMBDA_MIN, AUTO = "detX", "rmt", "svd", "alpha_min", "auto"
FAST = FAST_SVD = "fast"
ACCURATE = ACCURATE_SVD = "accurate"
VALID_SVD_METHODS = [FAST_SVD, ACCURATE_SVD]
TRUNCATED = TRUNCATED_SVD = "truncated"

# results
SUCCESS, FAILED = "success", "failed"
OVER_TRAINED, UNDER_TRAINED = "over-trained", "under-trained"
OVER_TRAINED_THRESH, UNDER_TRAINED_THRESH = 2.0, 6.0

# layers and adapters
DENSE, CONV1D, CONV2D, EMBEDDING, NORM = "dense", "conv1d", "conv2d", "embedding", "norm"
LAYER_TYPES_SUPPORTED = [CONV2D, CONV1D, DENSE, EMBEDDING, NORM]
PEFT, PEFT_WITH_BASE, DEFAULT_PEFT = "peft", "with_base", False
FIRST, LAST = "first", "last"
PYTORCH, PYSTATEDICT, SAFETENSORS, WW_FLATFILES = "pytorch", "pystatedict", "safetensors", "ww_flatfiles"
KERAS, ONNX, KERAS_H5_FILE, TENSORFLOW = "keras", "onnx", "keras_h5_file", "tensorflow"

# the peer's limits, for those who want them: here the defaults of max_evals and max_N are None, no limit
DEFAULT_MIN_EVALS = MIN_NUM_EVALS = 8
DEFAULT_MAX_EVALS = MAX_NUM_EVALS = 15000
DEFAULT_MAX_N = 50000
DEFAULT_MAX_FINGERS = 10
DEFAULT_FINGER_THRESH = 1.0
DEFAULT_START_ID = 0
DEFAULT_POOL = True
DEFAULT_WW2X = False
DEFAULT_XMAX = None
EVALS_THRESH = 1e-5
WEAK_RANK_LOSS_TOLERANCE = 1e-6


class LayerTypes(tuple[str, ...]):
    """Several layer types, as `LAYER_TYPE.CONV2D | LAYER_TYPE.DENSE` makes them."""

    def __or__(self, other: str) -> "LayerTypes":
        return LayerTypes((*self, other))


class LayerType(str):
    """A layer type: the text that the column `layer_type` holds."""

    __slots__ = ()

    def __or__(self, other: str) -> LayerTypes:
        return LayerTypes((self, other))


class LAYER_TYPE:  # noqa: N801  the peer's name
    """What `layer_type` may hold, and `layers=` may ask for. Beside these: conv3d, stack and recurrent."""

    UNKNOWN = LayerType("unknown")
    STACKED = LayerType("stacked")
    DENSE = LayerType("dense")
    CONV1D = LayerType("conv1d")
    CONV2D = LayerType("conv2d")
    FLATTENED = LayerType("flattened")
    EMBEDDING = LayerType("embedding")
    BIDIRECTIONAL = LayerType("bidirectional")
    NORM = LayerType("norm")


class CHANNELS:
    """Where a convolution's channels stand."""

    UNKNOWN = "unknown"
    FIRST = "first"
    LAST = "last"


class FRAMEWORK:
    """What `infer_framework` says of a model."""

    UNKNOWN = "unknown"
    PYTORCH = "pytorch"
    KERAS = "keras"
    ONNX = "onnx"
    PYSTATEDICT = "pystatedict"
    PYSTATEDICT_DIR = "pystatedict_dir"
    WW_FLATFILES = "ww_flatfiles"
    KERAS_H5_FILE = "keras_h5_file"


class MODEL_FILE_FORMATS:  # noqa: N801  the peer's name
    """What `infer_model_file_format` says of a folder."""

    PYTORCH = "pytorch"
    SAFETENSORS = "safetensors"
    WW_FLATFILES = "ww_flatfiles"
    KERAS_H5_FILE = "keras_h5_file"


class METRICS:
    """Columns that judge a layer."""

    NORM = "norm"
    LOG_NORM = "log_norm"
    ALPHA = "alpha"
    ALPHA_WEIGHTED = "alpha_weighted"
    LOG_ALPHA_NORM = "log_alpha_norm"
    SPECTRAL_NORM = "spectral_norm"
    LOG_SPECTRAL_NORM = "log_spectral_norm"
    STABLE_RANK = "stable_rank"
    MP_SOFTRANK = "mp_softrank"
    MATRIX_RANK = "matrix_rank"
    MATRIX_ENTROPY = "entropy"


# Keys of DEFAULT_PARAMS.
ADD_BIASES, BIDIRECTIONAL, CHANNELS_STR, CONV2D_FFT = "add_biases", "bidirectional", "channels", "conv2d_fft"
CONV2D_NORM, DELTA_ES, FFT, FINGER_THRESH = "conv2d_norm", "deltaEs", "fft", "finger_thresh"
FIT, FIX_FINGERS, GLOROT_FIX, INTRA = "fit", "fix_fingers", "glorot_fix", "intra"
INVERSE, LAYERS, MAX_EVALS, MAX_FINGERS = "inverse", "layers", "max_evals", "MAX_FINGERS"
MAX_N, MIN_EVALS, MP_FIT, NORMALIZE = "max_N", "min_evals", "mp_fit", "normalize"
PLOT, PL_PACKAGE, POOL, RANDOMIZE = "plot", "pl_package", "pool", "randomize"
RESCALE, SAVEDIR, SAVEFIG, SMOOTH = "rescale", "savedir", "savefig", "smooth"
SPARSIFY, STACKED, START_IDS, SVD_METHOD = "sparsify", "stacked", "layer_ids_start", "svd_method"
TOLERANCE, VECTORS, WW2X, XMAX = "tolerance", "vectors", "ww2x", "xmax"
XMIN_MAX = "xmin_max"

# The peer's table of parameters, under its keys; max_evals and max_N as they are here.
DEFAULT_PARAMS: dict[str, Any] = {
    "glorot_fix": False,
    "normalize": False,
    "conv2d_norm": True,
    "randomize": True,
    "savedir": DEF_SAVE_DIR,
    "savefig": True,
    "rescale": True,
    "plot": False,
    "deltaEs": False,
    "intra": False,
    "channels": None,
    "fft": False,
    "conv2d_fft": False,
    "ww2x": DEFAULT_WW2X,
    "pool": DEFAULT_POOL,
    "vectors": True,
    "smooth": None,
    "stacked": False,
    "svd_method": FAST_SVD,
    "fix_fingers": None,
    "fit": POWER_LAW,
    "MAX_FINGERS": DEFAULT_MAX_FINGERS,
    "finger_thresh": DEFAULT_FINGER_THRESH,
    "sparsify": True,
    "detX": True,
    "mp_fit": False,
    "min_evals": DEFAULT_MIN_EVALS,
    "max_evals": None,
    "max_N": None,
    "tolerance": WEAK_RANK_LOSS_TOLERANCE,
    "layer_ids_start": DEFAULT_START_ID,
    "add_biases": False,
    "xmin_max": None,
    "pl_package": DEFAULT_POWERLAW_PACKAGE,
    "xmax": DEFAULT_XMAX,
    "peft": DEFAULT_PEFT,
    "inverse": False,
}
