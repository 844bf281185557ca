"""Package dsr: `pip install .` gives the `dsr` command and the packages it is made of."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
setup(
    name="dsr",
    version="0.3.1",
    description="Dataset restoration: measure what image compression costs a segmentation network, and win it back",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.9,<3.12",
    packages=find_packages(include=["dsr", "dsr.*"]),
    package_data={
        "dsr": ["py.typed"],
        "dsr.experiments.analysis": ["*.jinja", "*.css", "*.js"],
        "dsr.data_pipelines.codecs.msh": ["weights/*.npz"],
        "dsr.models.metrics.perceptual": ["weights/*.npz"],
    },
    install_requires=[
        "tensorflow>=2.14.1,<2.15",  # the newest that tensorflow-compression and tensorflow-addons share
        "tensorflow-compression>=2.14.1,<2.15",
        "tensorflow-addons>=0.23,<0.24",
        "keras-cv>=0.9,<0.10",
        "tensorflow-datasets>=4.9.3,<4.9.5",  # later ones need importlib_resources without saying so
        "tensorflow-metadata==1.15.0",  # newer breaks `import tensorflow_datasets` here, older pulls protobuf 3.20
        "protobuf>=3.20.3,<4.26",
        "numpy>=1.26,<2",
        "pillow>=11.3",  # AVIF came with 11.3
        "av>=15.1",  # x265 encoder and HEVC decoder for BPG
        "etils[epath]>=1.5",  # paths that may be URLs of object stores
        "isal>=1.7",  # deflate at four times zlib's speed, for the PNGs of records
        "scipy>=1.11",  # BD-rates, t-intervals, filters and distributions of the perceptual indexes
        "google-crc32c>=1.5",  # TFRecord framing without importing TensorFlow
        "click>=8.1",
        "dacite>=1.9",  # stored results become typed values, or are refused
        "jinja2>=3.1",  # the report page, escaped by default
        "setuptools<81",  # TensorBoard 2.14 imports pkg_resources, which later ones left out
    ],
    extras_require={
        "beam": ["apache-beam>=2.60"],
        "gpu": ["tensorflow[and-cuda]>=2.14.1,<2.15"],
        "dev": [
            "apache-beam>=2.70; python_version >= '3.10'",  # an older one needs a compiler
            "cryptography>=40",  # certificates of the object store in the tests
            "pytest>=8",
            "hypothesis>=6.100",
            "ruff==0.17.6",
            "mypy>=1.13",
        ],
    },
    entry_points={"console_scripts": ["dsr = dsr.app.cli:main"]},
    classifiers=["Programming Language :: Python :: 3.9", "Programming Language :: Python :: 3.11"],
)
