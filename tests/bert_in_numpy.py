"""A BERT encoder in numpy, to see what a model makes of padded batches and their masks.

Source: Devlin et al., 2018; the names of the weights are those of `transformers`.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import load_file

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_erf = np.frompyfunc(math.erf, 1, 1)


class Bert:
    """The encoder of a folder with config.json and model.safetensors."""

    def __init__(self, folder: Path) -> None:
        self._config = json.loads((folder / "config.json").read_text("utf-8"))
        self._weights = load_file(str(folder / "model.safetensors"))

    def __call__(self, ids: Any, mask: Any, types: Any) -> NDArray[np.float32]:
        """Encodes a batch.

        Args:
            ids: Token ids, [rows, width].
            mask: 1 for the tokens to attend to, [rows, width].
            types: Token types, [rows, width].

        Returns:
            The last hidden states, float32 [rows, width, hidden].
        """
        ids, mask, types = np.array(ids), np.array(mask), np.array(types)
        w = self._weights
        hidden = (
            w["embeddings.word_embeddings.weight"][ids]
            + w["embeddings.position_embeddings.weight"][: ids.shape[1]]
            + w["embeddings.token_type_embeddings.weight"][types]
        )  # float32 [rows, width, hidden]
        hidden = self._norm(hidden, "embeddings.LayerNorm")
        for layer in range(self._config["num_hidden_layers"]):
            name = f"encoder.layer.{layer}"
            attended = self._linear(
                self._attend(hidden, mask, f"{name}.attention.self"), f"{name}.attention.output.dense"
            )
            hidden = self._norm(hidden + attended, f"{name}.attention.output.LayerNorm")
            inner = self._linear(hidden, f"{name}.intermediate.dense")
            inner = inner * 0.5 * (1 + _erf(inner / math.sqrt(2)).astype(np.float32))  # GELU
            hidden = self._norm(hidden + self._linear(inner, f"{name}.output.dense"), f"{name}.output.LayerNorm")
        return hidden

    def _attend(self, hidden: Any, mask: Any, name: str) -> Any:
        rows, width, size = hidden.shape
        heads = self._config["num_attention_heads"]
        query, key, value = (
            self._linear(hidden, f"{name}.{part}").reshape(rows, width, heads, size // heads).transpose(0, 2, 1, 3)
            for part in ("query", "key", "value")
        )
        scores = query @ key.transpose(0, 1, 3, 2) / math.sqrt(size // heads)  # [rows, heads, width, width]
        scores = np.where(mask[:, None, None, :] == 1, scores, np.finfo(np.float32).min)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        return (weights @ value).transpose(0, 2, 1, 3).reshape(rows, width, size)

    def _linear(self, hidden: Any, name: str) -> Any:
        return hidden @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]

    def _norm(self, hidden: Any, name: str) -> Any:
        centred = hidden - hidden.mean(-1, keepdims=True)
        scale = np.sqrt((centred**2).mean(-1, keepdims=True) + self._config["layer_norm_eps"])
        return centred / scale * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]
