"""Backbones, one file each: [batch, frames, bins] -> [batch, features]."""
