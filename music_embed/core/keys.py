"""Names of the tensors that travel in batch dictionaries."""

WINDOWS = "windows"
"""Windows: `[batch, rows, *row_shape]` (log-mels: `[batch, frames, bins]`,
waveforms: `[batch, samples]`), or `[batch, 3, rows, *row_shape]` in a triplet
batch (anchor, positive, negative). Stored dtype until dequantised."""

RECORDING = "recording"
"""Index of each window's recording in the dataset: int64, `[batch]` or
`[batch, 3]`."""

NEGATIVE_ALLOWED = "negative_allowed"
"""bool `[batch, global_batch]`: whether the negative of triplet j of the
*global* batch may serve anchor i (it is neither the anchor nor adjacent)."""

LABEL_IDS = "label_ids"
"""int32 `[batch, max_labels]` vocabulary indices, padded with -1."""

EMBEDDING = "embedding"
"""float32 `[batch, 128]`, unit l2 norm; in a batch of stored embeddings in
place of WINDOWS (there maybe recordings' means, of any norm)."""

LABEL_LOGITS = "label_logits"
"""float32 `[batch, num_labels]`."""

CF_VECTOR = "cf_vector"
"""float32 `[batch, num_factors]`: collaborative-filtering vectors, as targets
in a batch, as predictions among a network's outputs."""
