"""Fields of a ``config.json`` that no network of ours implements: one table, which each family extends.

A field that the table does not know is not looked at: most of them are about training. This module does not
know torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llada_runtime.models.fields import unsupported

__all__ = ["HARMLESS", "refuse_layer_types", "refuse_unimplemented", "refuse_variants"]

HARMLESS: Mapping[str, tuple[Any, ...]] = {
    **dict.fromkeys(("attention_bias", "use_bias", "use_qkv_bias", "qkv_bias", "mlp_bias"), (False,)),
    **dict.fromkeys(("use_qk_norm", "qk_norm", "use_sliding_window", "use_mrope"), (False,)),
    **dict.fromkeys(("is_causal", "causal", "moe_router_enable_expert_bias"), (False,)),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts"), (0,)),
    **dict.fromkeys(("num_shared_experts", "n_shared_experts", "shared_expert_intermediate_size"), (0,)),
    **dict.fromkeys(("first_k_dense_replace", "num_nextn_predict_layers"), (0,)),
    **dict.fromkeys(
        ("decoder_sparse_step", "moe_layer_freq", "n_group", "topk_group", "routed_scaling_factor"), (1,)
    ),
    **dict.fromkeys(("router_num_group", "router_topk_group", "logits_scaling"), (1,)),
    **dict.fromkeys(("score_function", "scoring_func", "moe_router_score_function"), ("softmax",)),
    **dict.fromkeys(("clip_qkv", "quantization_config", "expert_capacity"), ()),
    **dict.fromkeys(("attn_logit_softcapping", "final_logit_softcapping"), ()),
    "hidden_act": ("silu",),
    "mlp_only_layers": ([],),
}
"""By field, the values besides null with which it changes nothing."""


_EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts")
"""What the number of experts is called; a file may say it under several of these names."""


def refuse_unimplemented(
    data: Mapping[str, Any],
    own: Mapping[str, tuple[Any, ...]],
    *,
    reads: tuple[str, ...] = (),
    within: str = "",
) -> None:
    """Refuse what a network does not implement, by `HARMLESS` and by what its family says otherwise.

    Args:
        data: the fields.
        own: by field, the values that this network has; they replace those of the table.
        reads: fields that the config reads itself. Where the number of experts is one, other names of it may
            say the same.
        within: where in the file the fields are, as "text_config.".

    Raises:
        UnsupportedArchitecture: the first field that holds another value, or layers that do not see all.
    """
    count = next((data.get(name) for name in _EXPERTS if name in reads), None)
    same = {} if count is None else dict.fromkeys(_EXPERTS, (count,))
    known = {*reads, *(("sliding_window",) if data.get("use_sliding_window") is False else ())}
    table = {"sliding_window": (), **HARMLESS, **same, **own}
    refuse_variants(
        data, {name: values for name, values in table.items() if name not in known}, within=within
    )
    if "layer_types" not in reads:
        refuse_layer_types(data)


def refuse_variants(
    data: Mapping[str, Any],
    fixed: Mapping[str, tuple[Any, ...]],
    *,
    nullable: bool = True,
    within: str = "",
) -> None:
    """Refuse what a network implements in one way only and the file wants in another.

    Args:
        data: the fields.
        fixed: by field, the values that the network has; none where the field has to be left out.
        nullable: null is as good as left out; else it is a value like others.
        within: where in the file the fields are, as "text_config.".

    Raises:
        UnsupportedArchitecture: the first field that holds another value.
    """
    for name, implemented in fixed.items():
        value = data.get(name)
        if value is None and (nullable or name not in data):
            continue
        if not any(_same(value, each) for each in implemented):
            raise unsupported(within + name, value, *implemented)


def refuse_layer_types(data: Mapping[str, Any]) -> None:
    """Refuse ``layer_types`` of which one does not see all columns. Raises UnsupportedArchitecture."""
    kinds = data.get("layer_types")
    if kinds is None:
        return
    for kind in kinds if isinstance(kinds, list) else [kinds]:
        if kind != "full_attention":
            raise unsupported("layer_types", kinds, "full_attention")


def _same(value: object, implemented: object) -> bool:
    """Whether they are equal; 1 is not true."""
    return isinstance(value, bool) is isinstance(implemented, bool) and value == implemented
