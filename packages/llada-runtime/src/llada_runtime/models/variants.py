"""Fields of a ``config.json`` that no network of ours implements: one table, which each family extends.

A field that the table does not know is not looked at: most of them are about training. This module does not
know torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llada_runtime.models.fields import refuse_layer_types, refuse_variants

__all__ = ["HARMLESS", "refuse_unimplemented"]

HARMLESS: Mapping[str, tuple[Any, ...]] = {
    **dict.fromkeys(("attention_bias", "use_bias", "use_qkv_bias", "qkv_bias", "mlp_bias"), (False,)),
    **dict.fromkeys(("use_qk_norm", "qk_norm", "use_sliding_window", "use_mrope"), (False,)),
    **dict.fromkeys(("is_causal", "causal", "moe_router_enable_expert_bias"), (False,)),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts"), (0,)),
    **dict.fromkeys(("num_shared_experts", "n_shared_experts", "shared_expert_intermediate_size"), (0,)),
    **dict.fromkeys(("first_k_dense_replace", "num_nextn_predict_layers"), (0,)),
    **dict.fromkeys(("decoder_sparse_step", "n_group", "topk_group", "routed_scaling_factor"), (1,)),
    **dict.fromkeys(("router_num_group", "router_topk_group", "logits_scaling"), (1,)),
    **dict.fromkeys(("score_function", "scoring_func", "moe_router_score_function"), ("softmax",)),
    **dict.fromkeys(("clip_qkv", "quantization_config", "expert_capacity"), ()),
    **dict.fromkeys(("attn_logit_softcapping", "final_logit_softcapping"), ()),
    "hidden_act": ("silu",),
    "mlp_only_layers": ([],),
}
"""By field, the values besides null with which it changes nothing."""


def refuse_unimplemented(
    data: Mapping[str, Any], own: Mapping[str, tuple[Any, ...]], *, reads: tuple[str, ...] = ()
) -> None:
    """Refuse what a network does not implement, by `HARMLESS` and by what its family says otherwise.

    Args:
        data: the fields.
        own: by field, the values that this network has; they replace those of the table.
        reads: fields of the table that the config reads itself.

    Raises:
        UnsupportedArchitecture: the first field that holds another value, or layers that do not see all.
    """
    table = {**HARMLESS, **own}
    refuse_variants(data, {name: values for name, values in table.items() if name not in reads})
    if data.get("sliding_window") is not None and data.get("use_sliding_window") is not False:
        refuse_variants(data, {"sliding_window": ()})
    refuse_layer_types(data)
