from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from dsr.data_pipelines.datasets import DatasetError
from dsr.data_pipelines.datasets.formats import HEAD, format_of


@pytest.mark.parametrize("name", ["PNG", "JPEG", "WEBP", "TIFF", "BMP", "PPM"])
def test_formats_that_are_read_are_told_by_what_pillow_writes(name):
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((3, 4, 3), np.uint8)).save(buffer, name)
    assert format_of("a", buffer.getvalue()[:HEAD]) == name


@pytest.mark.parametrize("name, told", [("GIF", "GIF"), ("JPEG2000", "JPEG 2000"), ("AVIF", "AVIF"), ("PDF", "a PDF")])
def test_others_that_pillow_writes_are_named(name, told):
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(buffer, name)
    with pytest.raises(DatasetError, match=f"a.jpg: holds {told}"):
        format_of("a.jpg", buffer.getvalue()[:HEAD])


@pytest.mark.parametrize(
    "head, sentence",
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "holds HEIC; convert it"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf", "holds AVIF"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "holds HEIC"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0isommp42", "holds a video"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "holds JPEG XL"),
        (b"\xff\x0a\x00", "holds JPEG XL"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
            "holds a Git LFS pointer.*git lfs pull",
        ),
        (b"/annex/objects/SHA256E-s1--0.jpg\n", "git annex get"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "it holds an HTML page.*download the image again"),
        (b"\xef\xbb\xbf\n<HTML>", "it holds an HTML page"),
        (b'<?xml version="1.0"?><svg xmlns="x">', "it holds SVG"),
        (b"b\xe4d", "it holds no format that is known"),
        (b"{'error': 'not found'}\n", "it holds text"),
        (b"", "it is empty"),
        (bytes(HEAD), "it begins with zeros"),
        (bytes(128) + b"DICM", "holds DICOM"),
        (b"II*\0\x10\0\0\0CR\x02\0", "holds a Canon raw photograph"),
        (b"PK\x03\x04", "holds a ZIP archive; unpack it"),
    ],
)
def test_what_a_file_holds_instead_is_named_with_what_helps(head, sentence):
    with pytest.raises(DatasetError, match=rf"dir/a\.jpg: .*{sentence}"):
        format_of("dir/a.jpg", head)


def test_nothing_that_helps_is_said_of_copying_where_a_copy_is_the_same():
    for head in (b"\0\0\0\x18ftypheic", b"GIF89a", b"version https://git-lfs"):
        with pytest.raises(DatasetError) as refused:
            format_of("a.jpg", head)
        assert "copy" not in str(refused.value)
