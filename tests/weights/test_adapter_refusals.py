"""What is no plain LoRA adapter, or none of this base: one line, at once, from headers alone."""

import json

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from spinspectra import open_weights
from spinspectra.errors import WeightsError
from spinspectra.weights.adapters import adapter_products, merge_adapter


def zeros(*shape):
    return np.zeros(shape, np.float32)


PAIR = {"q.lora_A.weight": zeros(4, 5), "q.lora_B.weight": zeros(6, 4)}
BASE = {"q.weight": zeros(6, 5), "q.bias": zeros(6)}


class Unread:
    """Weights whose headers alone may be asked for."""

    def __init__(self, tensors):
        self._weights = open_weights(tensors)
        self.source, self.config = "unread", None
        self.names, self.info = self._weights.names, self._weights.info

    def read(self, name):
        raise AssertionError(f"{name} was read")


def refusal(call, *arguments, **options):
    with pytest.raises(WeightsError) as caught:
        call(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_opening_reads_headers_only():
    assert adapter_products(Unread(PAIR)).info("q.weight").shape == (6, 5)
    merged = merge_adapter(Unread(BASE), Unread(PAIR))
    assert [merged.info(name).shape for name in merged.names()] == [(6, 5), (6,)]


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        (BASE, "holds no LoRA pairs; they are named <module>.lora_A.weight and lora_B"),
        ({"q.lora_A.weight": zeros(4, 5)}, "q.lora_A.weight has no lora_B beside it; save both"),
        ({"q.lora_B.weight": zeros(6, 4)}, "q.lora_B.weight has no lora_A beside it; save both"),
        (
            PAIR | {"q.lora_A.weight": zeros(3, 5)},
            "q.lora_A.weight (3, 5) and q.lora_B.weight (6, 4) have no common rank",
        ),
        ({"q.lora_A.weight": zeros(0, 5), "q.lora_B.weight": zeros(6, 0)}, "have no common rank above 0"),
        (PAIR | {"q.lora_A.weight": zeros(4)}, "q.lora_A.weight (4,) and q.lora_B.weight (6, 4) are no pair"),
        ({"q.lora_A.weight": zeros(2, 5, 3), "q.lora_B.weight": zeros(6, 2, 3)}, "are no pair (r, in) and (out, r)"),
        ({"e.lora_embedding_A": zeros(4, 5), "e.lora_B.weight": zeros(6, 4)}, "are halves of different pairs"),
        (PAIR | {"q.lora_A": zeros(4, 5)}, "q.lora_A and q.lora_A.weight are one half twice"),
        (PAIR | {"q.lora_magnitude_vector": zeros(6)}, "q.lora_magnitude_vector is DoRA's, whose change is not B A"),
        (PAIR | {"q.lora_B.bias": zeros(6)}, "q.lora_B.bias adds to a bias (lora_bias); merge it with peft"),
        (PAIR | {"q.lora_E": zeros(4, 1)}, "q.lora_E is no half of a plain LoRA pair"),
        ({"e.base_layer.lora_A.weight": zeros(4, 5)}, "is no half of a plain LoRA pair"),
        ({"lora_unet_down.lora_up.weight": zeros(4, 5)}, "is no half of a plain LoRA pair"),
        (
            {name.replace(".weight", f".{one}.weight"): value for name, value in PAIR.items() for one in ("x", "y")},
            "holds 2 adapters, 'x', 'y'; save each on its own",
        ),
        (
            PAIR | {"q.weight": zeros(6, 5), "q.base_layer.weight": zeros(6, 5)},
            "q.base_layer.weight and q.weight are both the weight q.weight",
        ),
    ],
)
def test_tensors_that_make_no_pairs(tensors, message):
    assert message in refusal(adapter_products, Unread(tensors))
    assert message in refusal(merge_adapter, Unread(BASE), Unread(tensors))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"peft_type": "IA3"}, "peft_type is 'IA3'; only LORA adapters have products B A"),
        ({"peft_type": None}, "peft_type is None"),
        ({"r": 8}, "r is 8 for q, whose tensors have rank 4"),
        ({"rank_pattern": {"q": 2}}, "r is 2 for q, whose tensors have rank 4"),
        ({"r": 0}, "r is 0; a rank is an integer from 1"),
        ({"r": "4"}, "r is '4'; a rank is an integer"),
        ({"rank_pattern": {"q": True}}, "r is True; a rank is an integer"),
        ({"lora_alpha": float("nan")}, "lora_alpha is nan, not a finite number"),
        ({"lora_alpha": "16"}, "lora_alpha is '16', not a finite number"),
        ({"alpha_pattern": {"q": float("inf")}}, "alpha_pattern is inf, not a finite number"),
        ({"alpha_pattern": {"(": 3}}, "the pattern ( is no regular expression"),
        ({"alpha_pattern": [1]}, "alpha_pattern is [1], not a mapping"),
        ({"use_rslora": "yes"}, "use_rslora is 'yes', neither true nor false"),
        ({"use_dora": True}, "use_dora is set, so the change of a weight is not B A; merge it with peft first"),
        ({"target_parameters": ["experts.w"]}, "target_parameters is set"),
    ],
)
def test_configurations_that_give_no_product(tmp_path, config, message):
    whole = {"peft_type": "LORA", "r": 4, "lora_alpha": 8} | config
    (tmp_path / "adapter_config.json").write_text(json.dumps(whole))
    save_file(
        {f"base_model.model.{name}": value for name, value in PAIR.items()}, tmp_path / "adapter_model.safetensors"
    )
    said = refusal(adapter_products, tmp_path)
    assert said.startswith(f"{tmp_path / 'adapter_config.json'}: {message}")
    assert message in refusal(merge_adapter, BASE, PAIR, config=whole)


@pytest.mark.parametrize(
    ("text", "message"), [("{", "not readable as JSON"), ("[]", "holds a list, not a JSON object")]
)
def test_a_malformed_configuration(tmp_path, text, message):
    (tmp_path / "adapter_config.json").write_text(text)
    save_file(PAIR, tmp_path / "adapter_model.safetensors")
    assert message in refusal(adapter_products, tmp_path)


def test_a_configuration_without_alpha():
    assert "config: has no lora_alpha" in refusal(adapter_products, PAIR, config={"r": 4})


def test_a_folder_with_a_configuration_alone(tmp_path):
    (tmp_path / "adapter_config.json").write_text('{"lora_alpha": 8}')
    assert "no weights in this folder" in refusal(adapter_products, tmp_path)


SQUARE = {f"c_proj.lora_{side}.weight": zeros(4, 4) for side in "AB"}


@pytest.mark.parametrize(
    ("base", "adapter", "config", "message"),
    [
        ({"k.weight": zeros(6, 5)}, PAIR, None, "q.lora_A.weight adapts q.weight, which is not in unread"),
        (
            {"q.weight": zeros(6, 7)},
            PAIR,
            None,
            "q.lora_A.weight and q.lora_B.weight make (6, 5), q.weight in unread is (6, 7)",
        ),
        ({"x.q.weight": zeros(6, 5), "y.q.weight": zeros(6, 5)}, PAIR, None, "fit as well under 'x.' as under 'y.'"),
        ({"q.weight": np.zeros((6, 5), np.int8)}, PAIR, None, "q.weight is stored as int8; dequantise the base"),
        (
            {"q.weight": torch.zeros(6, 5).to(torch.float8_e4m3fn)},
            PAIR,
            None,
            "q.weight is stored as float8_e4m3fn; dequantise the base",
        ),
        (
            {"e.weight": zeros(5, 6)},
            {"e.lora_embedding_A": zeros(4, 6), "e.lora_embedding_B": zeros(5, 4)},
            None,
            "make (6, 5), e.weight in unread is (5, 6)",
        ),
        (
            {"c_proj.weight": zeros(4, 4), "q.weight": zeros(5, 6)},
            PAIR | SQUARE,
            {"lora_alpha": 8},
            "q.weight is stored as fan_in_fan_out=True has it, so how the square c_proj.weight is stored is not known",
        ),
        (BASE, PAIR, {"lora_alpha": 8, "init_lora_weights": "pissa_niter_4"}, "=pissa_niter_4 changed the base before"),
        (BASE, PAIR, {"lora_alpha": 8, "trainable_token_indices": [1]}, "replaces single tokens of an embedding"),
        (
            BASE,
            PAIR | {"e.token_adapter.trainable_tokens_delta": zeros(2, 5)},
            None,
            "replaces single tokens of an embedding",
        ),
    ],
)
def test_an_adapter_of_another_base(base, adapter, config, message):
    assert message in refusal(merge_adapter, Unread(base), adapter, config=config)


def test_a_sum_beyond_the_range_of_its_dtype():
    base = {"q.weight": np.full((6, 5), 60000, np.float16)}
    pair = {"q.lora_A.weight": np.full((1, 5), 100, np.float32), "q.lora_B.weight": np.full((6, 1), 100, np.float32)}
    merged = merge_adapter(base, pair)
    with pytest.raises(WeightsError, match=r"q\.weight: 30 merged values are beyond the range of float16"):
        merged.read("q.weight")


def test_absent_names_are_named():
    for weights in (adapter_products(PAIR), merge_adapter(BASE | PAIR)):
        with pytest.raises(WeightsError, match="no tensor named 'nothing'"):
            weights.read("nothing")
