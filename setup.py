"""Packaging of music_embed: the library and its gin files."""

import pathlib

import setuptools

_ROOT = pathlib.Path(__file__).resolve().parent

_INSTALL_REQUIRES = [
  "absl-py>=2.1,<3",
  "faiss-cpu>=1.15,<2",
  "gin-config>=0.5,<0.6",
  "google-crc32c>=1.5,<2",
  "icu4py>=1.2,<2",
  "implicit>=0.7.2,<0.8",
  "importlib-resources>=5,<8",  # tensorflow-datasets imports it unsaid.
  "numpy>=1.26,<3",
  "pyarrow>=15,<26",
  "scikit-learn>=1.4,<2",
  "scipy>=1.11,<2",
  "setuptools<81",  # TensorBoard still imports pkg_resources.
  "soundfile>=0.12,<0.14",
  "soxr>=0.3.7,<2",
  "tensorflow>=2.16,<2.21",
  "tensorflow-datasets>=4.9.9,<5",
  "tf-keras>=2.16,<2.21",
  "tf-models-official>=2.16,<2.21",
  "threadpoolctl>=3.2,<4",
  "tqdm>=4.65,<5",
]

_EXTRAS = {
  "io": ["tensorflow-io>=0.37,<0.40"],
  "spark": ["pyspark>=4.0,<4.4", "pandas>=2.2,<3"],
  "onnx": ["onnxruntime>=1.18,<2", "tf2onnx>=1.16.1,<2"],
  "explore": [
    "starlette>=0.45,<2",
    "umap-learn>=0.5.7,<0.6",
    "uvicorn>=0.30,<1",
  ],
  "perf": ["torch>=2.4,<3"],  # The peer that tools/perf.py train measures.
  "dev": [
    "httpx>=0.27,<1",  # Starlette's test client.
    "hypothesis>=6.100,<7",
    "librosa>=0.10.2,<0.12",
    "mypy>=1.10,<3",
    "playwright>=1.45,<2",  # Drives the Chromium that is installed.
    "pytest>=8,<10",
    "pytest-timeout>=2.3,<3",
    "pytest-xdist>=3.6,<4",
    "ruff>=0.5,<1",
    "uv>=0.5,<1",
  ],
}

setuptools.setup(
  name="music_embed",
  version="0.1.0",
  description=(
    "Content embeddings of music, trained from audio, text and co-listening"
  ),
  long_description=(_ROOT / "README.md").read_text(encoding="utf-8"),
  long_description_content_type="text/markdown",
  license="Apache-2.0",
  python_requires=">=3.11,<3.13",
  packages=[
    *setuptools.find_packages(include=["music_embed", "music_embed.*"]),
    "music_embed.gin",
  ],
  package_dir={"music_embed.gin": "gin"},
  package_data={
    "music_embed": ["py.typed", "serving/page/**/*"],
    "music_embed.gin": ["**/*.gin", "**/*.md"],
  },
  install_requires=_INSTALL_REQUIRES,
  extras_require=_EXTRAS,
)
