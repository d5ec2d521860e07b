"""The text side of all nano backbones: a tokenizer of the prompts' words and a small T5 of random weights."""

from collections.abc import Iterable
from typing import Any, Literal


def build_tokenizer(prompts: Iterable[str], length: int) -> Any:
    """A T5-style Unigram tokenizer whose pieces are the prompts' words and all printable characters."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import T5TokenizerFast

    words = sorted({word for prompt in prompts for word in prompt.split()})
    characters = sorted({chr(code) for code in range(33, 127)} | {"▁"})
    special = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    # A word's score beats the sum of its characters', so known words stay whole.
    pieces = [(f"▁{word}", -1.0) for word in words] + [(c, -10.0) for c in characters]
    tokenizer = Tokenizer(models.Unigram(special + pieces, unk_id=2))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return T5TokenizerFast(
        tokenizer_object=tokenizer,
        extra_ids=0,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        model_max_length=length,
    )


def text_encoder_config(kind: Literal["t5", "umt5"], width: int, vocabulary: int) -> Any:
    """The configuration of a one-layer T5Encoder or UMT5Encoder model of this width."""
    from transformers import T5Config, UMT5Config

    return {"t5": T5Config, "umt5": UMT5Config}[kind](
        vocab_size=vocabulary,
        d_model=width,
        d_kv=16,
        d_ff=2 * width,
        num_layers=1,
        num_heads=2,
        feed_forward_proj="gated-gelu",
        dropout_rate=0.0,
    )
