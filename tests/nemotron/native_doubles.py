"""Doubles of models with decoding code of their own: the published signatures, without a network.

Each writes its ``reply`` after every prompt and remembers how it was called.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

MASK, EOS, NFE = 100, 11, 7


class Attention(nn.Module):
    """A layer with the switch that the published code leaves as the last call needed it."""

    def __init__(self) -> None:
        super().__init__()
        self.diffusion_lm = False
        self.weight = nn.Parameter(torch.zeros(1))


class Double(nn.Module):
    """What the variants share. ``attended`` is the switch and the training mode at each call."""

    def __init__(self, reply: Sequence[int] = (1, 2, 3, 4), **config: Any) -> None:
        super().__init__()
        self.attention = Attention()
        self.reply = list(reply)
        known = {"mask_token_id": MASK, "eos_token_id": EOS, "vocab_size": 128}
        self.config = SimpleNamespace(**known | config)
        self.calls: list[dict[str, Any]] = []
        self.attended: list[tuple[bool, bool]] = []

    @property
    def device(self) -> torch.device:
        return self.attention.weight.device

    def write(self, prompt: Tensor, length: int, eos: int | None = None, **asked: Any) -> tuple[Tensor, int]:
        """Prompt and reply, repeated to ``length``, cut after ``eos`` as the published code cuts; and NFE."""
        self.calls.append({"prompt": prompt.tolist(), "length": length, "eos": eos, **asked})
        self.attended.append((self.attention.diffusion_lm, self.training))
        answer = (self.reply * length)[:length]
        if eos in answer:
            answer = answer[: answer.index(eos) + 1]
        rows = torch.tensor([answer] * len(prompt), dtype=torch.long)
        if asked.get("temperature"):
            rows = torch.randint(20, 90, rows.shape)
        return torch.cat((prompt, rows), dim=1), NFE


class Gen1(Double):
    """Variant A: asserts that lengths and steps divide, and knows no EOS."""

    def generate(
        self,
        prompt_ids: Tensor,
        max_new_tokens: int = 128,
        steps: int = 128,
        block_length: int = 32,
        threshold: float | None = 0.9,
        shift_logits: bool = False,
        temperature: float = 0.0,
    ) -> tuple[Tensor, int]:
        assert max_new_tokens % block_length == 0
        assert steps % (max_new_tokens // block_length) == 0
        return self.write(
            prompt_ids,
            max_new_tokens,
            steps=steps,
            block_length=block_length,
            threshold=threshold,
            shift_logits=shift_logits,
            temperature=temperature,
        )


class Ministral(Double):
    """Variant B: the fitting method is not called ``generate``, and takes anything besides."""

    def generate_diffusion(
        self,
        prompt_ids: Tensor,
        max_new_tokens: int = 512,
        steps: int = 512,
        block_length: int = 32,
        shift_logits: bool = False,
        threshold: float | None = 0.9,
        causal_context: bool = True,
        temperature: float = 0,
        eos_token_id: int | None = None,
        max_thinking_tokens: int | None = None,
        end_think_token_id: int | None = None,
        step_ratio: float | None = None,
        neg_entropy: bool = False,
        **kwargs: Any,
    ) -> tuple[Tensor, int]:
        return self.write(
            prompt_ids,
            max_new_tokens,
            eos_token_id,
            steps=steps,
            causal_context=causal_context,
            temperature=temperature,
            **kwargs,
        )


class Labs(Double):
    """Variant C: no steps, no shift; three parameters are required; two more ways of decoding."""

    def generate(
        self,
        prompt_ids: Tensor,
        max_new_tokens: int,
        block_length: int,
        threshold: float | None = None,
        causal_context: bool = True,
        temperature: float = 0.0,
        eos_token_id: int | None = None,
        max_thinking_tokens: int | None = None,
        end_think_token_id: int | None = None,
    ) -> tuple[Tensor, int]:
        assert max_new_tokens % block_length == 0
        return self.write(
            prompt_ids,
            max_new_tokens,
            eos_token_id,
            threshold=threshold,
            causal_context=causal_context,
            temperature=temperature,
            thinking=(max_thinking_tokens, end_think_token_id),
        )

    def ar_generate(
        self,
        prompt_ids: Tensor,
        max_new_tokens: int = 128,
        temperature: float = 0.0,
        eos_token_id: int | None = None,
        max_thinking_tokens: int | None = None,
        end_think_token_id: int | None = None,
    ) -> tuple[Tensor, int]:
        output, _ = self.write(prompt_ids, max_new_tokens, eos_token_id, temperature=temperature)
        return output, output.shape[1] - prompt_ids.shape[1]

    def linear_spec_generate(
        self,
        prompt_ids: Tensor,
        max_new_tokens: int = 128,
        block_length: int = 32,
        temperature: float = 0.0,
        mask_token_id: int | None = None,
        eos_token_id: int | None = None,
        max_thinking_tokens: int | None = None,
        end_think_token_id: int | None = None,
        threshold: float = 0.0,
    ) -> tuple[Tensor, int]:
        if len(prompt_ids) != 1:
            raise ValueError("batch size must be 1")
        overshoot = max_new_tokens + block_length // 2
        return self.write(prompt_ids, overshoot, eos_token_id, threshold=threshold, mask=mask_token_id)


class Megatron(Double):
    """Variant D: a function of the model, and three values."""

    @staticmethod
    def generate_dllm(
        model: Megatron,
        prompt: Tensor,
        gen_length: int = 128,
        block_length: int = 32,
        steps: int = 128,
        temperature: float = 0,
        remasking: str = "low_confidence",
        mask_id: int = 100,
        threshold: float | None = None,
        shift_logits: bool = True,
        neg_entropy: bool = True,
    ) -> tuple[Tensor, Tensor, dict[str, float]]:
        output, nfe = model.write(
            prompt, gen_length, steps=steps, mask=mask_id, shift=shift_logits, neg_entropy=neg_entropy
        )
        return output, torch.tensor(nfe), {"seconds": 0.1}


class Returning(Double):
    """Returns whatever ``returned`` makes of the prompt."""

    def __init__(self, returned: Any, **config: Any) -> None:
        super().__init__(**config)
        self.returned = returned

    def generate(self, prompt_ids: Tensor, max_new_tokens: int, block_length: int) -> Any:
        return self.returned(prompt_ids)


class Autoregressive(Double):
    """A model of another kind: the ``generate`` of transformers."""

    def generate(self, inputs: Tensor | None = None, generation_config: Any = None, **kwargs: Any) -> Any:
        raise AssertionError("it must not be called")


class Veiled(Double):
    """Its wrapper hides what it takes."""

    def generate(self, *args: Any, **kwargs: Any) -> Any:
        raise AssertionError("it must not be called")


class Demanding(Double):
    """Wants an argument that nobody can give."""

    def generate(self, prompt_ids: Tensor, max_new_tokens: int, block_length: int, secret: str) -> Any:
        raise AssertionError("it must not be called")


class Peft:
    """A wrapper as PEFT's: it has a ``generate`` that shows nothing."""

    def __init__(self, model: Double) -> None:
        self.inner = model

    def get_base_model(self) -> Double:
        return self.inner

    def generate(self, *args: Any, **kwargs: Any) -> Any:
        raise AssertionError("the model inside is to be called")


class Words:
    """A tokenizer as far as the adapter asks one."""

    eos_token_id: int | None = EOS
    pad_token_id: int | None = None
    unk_token_id = None

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        assert (text, add_special_tokens) == ("</think>", False)
        return [13]
