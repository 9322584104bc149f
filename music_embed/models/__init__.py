"""Networks: backbones, heads and the embedder that joins them."""
