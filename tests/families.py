"""One tiny random model of every family that is promised to work."""

from collections.abc import Callable

import transformers as hf
from transformers import PreTrainedModel

SMALL = {
    "vocab_size": 400,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "bos_token_id": None,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
HEADS = {"head_dim": 8}
WINDOWED = {"sliding_window": 16, "layer_types": ["sliding_attention", "full_attention"] * 2}


def gemma3_multimodal() -> PreTrainedModel:
    vision = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "image_size": 28,
        "patch_size": 14,
    }
    config = hf.Gemma3Config(
        text_config=hf.Gemma3TextConfig(**SMALL, **HEADS, **WINDOWED).to_dict(),
        vision_config=vision,
        mm_tokens_per_image=4,
    )
    return hf.Gemma3ForConditionalGeneration(config)


FAMILIES: dict[str, Callable[[], PreTrainedModel]] = {
    "llama": lambda: hf.LlamaForCausalLM(hf.LlamaConfig(**SMALL)),
    "qwen2": lambda: hf.Qwen2ForCausalLM(hf.Qwen2Config(**SMALL)),
    "qwen3": lambda: hf.Qwen3ForCausalLM(hf.Qwen3Config(**SMALL, **HEADS)),
    # As many experts as blocks: a stack that is found by its length alone would be the wrong one.
    "qwen3-moe": lambda: hf.Qwen3MoeForCausalLM(
        hf.Qwen3MoeConfig(
            **SMALL, **HEADS, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=16
        )
    ),
    "mistral": lambda: hf.MistralForCausalLM(hf.MistralConfig(**SMALL, sliding_window=16)),
    "gemma-2": lambda: hf.Gemma2ForCausalLM(hf.Gemma2Config(**SMALL, **HEADS, **WINDOWED)),
    "gemma-3": lambda: hf.Gemma3ForCausalLM(hf.Gemma3TextConfig(**SMALL, **HEADS, **WINDOWED)),
    "gemma-3-multimodal": gemma3_multimodal,
    "gpt-2": lambda: hf.GPT2LMHeadModel(
        hf.GPT2Config(
            vocab_size=400, n_embd=32, n_layer=4, n_head=4, n_positions=128, bos_token_id=2,
            eos_token_id=2,
        )
    ),
    "gpt-neox": lambda: hf.GPTNeoXForCausalLM(
        hf.GPTNeoXConfig(
            vocab_size=400, hidden_size=32, intermediate_size=48, num_hidden_layers=4,
            num_attention_heads=4, max_position_embeddings=128, bos_token_id=2, eos_token_id=2,
        )
    ),
    "gpt-neo": lambda: hf.GPTNeoForCausalLM(
        hf.GPTNeoConfig(
            vocab_size=400, hidden_size=32, num_layers=4, num_heads=4, window_size=16,
            attention_types=[[["global", "local"], 2]], max_position_embeddings=128,
            bos_token_id=2, eos_token_id=2,
        )
    ),
    "olmo-2": lambda: hf.Olmo2ForCausalLM(hf.Olmo2Config(**SMALL)),
    "phi-3": lambda: hf.Phi3ForCausalLM(hf.Phi3Config(**SMALL)),
}  # fmt: skip
EVERY_OTHER = ["linear_attention", "full_attention"] * 2
DELTA = {
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "head_dim": 8,
}
HYBRIDS: dict[str, Callable[[], PreTrainedModel]] = {
    "qwen3-next": lambda: hf.Qwen3NextForCausalLM(
        hf.Qwen3NextConfig(
            **SMALL, **DELTA, layer_types=EVERY_OTHER, num_experts=4, num_experts_per_tok=2,
            moe_intermediate_size=16, shared_expert_intermediate_size=16,
        )
    ),
    "qwen3.5": lambda: hf.Qwen3_5ForCausalLM(
        hf.Qwen3_5TextConfig(**SMALL, **DELTA, layer_types=EVERY_OTHER)
    ),
    "lfm2": lambda: hf.Lfm2ForCausalLM(
        hf.Lfm2Config(**SMALL, layer_types=["conv", "full_attention"] * 2)
    ),
    "granite-4": lambda: hf.GraniteMoeHybridForCausalLM(
        hf.GraniteMoeHybridConfig(
            **SMALL, layer_types=["mamba", "attention"] * 2, mamba_n_heads=4, mamba_d_head=16,
            mamba_d_state=8, num_local_experts=2, num_experts_per_tok=1,
            shared_intermediate_size=16,
        )
    ),
}  # fmt: skip
"""With layers that carry a state from token to token, beside some that attend."""
