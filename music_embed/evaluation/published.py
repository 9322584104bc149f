"""Numbers of the papers that a report stands beside. On other data!

Source: Huang et al. 2020, "Large-scale weakly-supervised content embeddings
for music recommendation and tagging" (ICASSP), tables 1 and 2; van den Oord
et al. 2013, "Deep content-based music recommendation" (NeurIPS), as quoted
there.
"""

from __future__ import annotations

DATA = (
  "The paper trained for 10 + 10 million steps on the audio, listening and "
  "text of a catalogue of many million recordings and ranked 2,500 of them "
  "(AP of a random ranking: .0008). Its numbers stand here for orientation; "
  "they are about other data and another prevalence."
)

LABEL_AUC: tuple[tuple[str, float], ...] = (
  ("SmallCNN, label-only", 0.788),
  ("MobileNet, label-only", 0.835),
  ("ResNet-18, label-only", 0.855),
  ("ResNet-18, hybrid", 0.859),
)
"""Table 1: mean AUC-ROC of label prediction."""

LINK: tuple[tuple[str, float, float], ...] = (
  ("Random", 0.0008, 0.500),
  ("ResNet-18, CF regression", 0.055, 0.916),
  ("SmallCNN, triplet-only", 0.035, 0.888),
  ("MobileNet, triplet-only", 0.057, 0.925),
  ("ResNet-18, triplet-only", 0.079, 0.946),
  ("ResNet-18, hybrid", 0.107, 0.956),
  ("WMF (trains on the evaluation data)", 0.428, 0.974),
)
"""Table 2: AP and AUC-ROC of link prediction."""

RECOVERY: tuple[tuple[str, float, float], ...] = (
  ("Huang et al. 2020, hybrid", 0.25, 0.98),
  ("van den Oord et al. 2013", 0.025, 0.80),
)
"""Share of WMF's AP and AUC that audio alone recovers."""
