"""Images within the page: small PNG files as data URIs."""

import base64
import io

import numpy as np
from PIL import Image

from train.reports.page.html import Html, element

SIDE = 96  # pixels of an image on the page, at most


def encoded(image: np.ndarray) -> bytes:
    """A PNG file of an image `[H, W, K]` in [0, 1]; a large one is made smaller."""
    pixels = np.rint(np.clip(np.nan_to_num(image), 0, 1) * 255).astype(np.uint8)
    channels = pixels.shape[-1]
    pixels = pixels[..., :3] if channels >= 3 else pixels[..., 0]
    picture = Image.fromarray(pixels)
    picture.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
    return _bytes(picture)


def fewer_colors(content: bytes, width: int) -> bytes:
    """A picture of matplotlib with 64 colours, and at most so wide."""
    picture = Image.open(io.BytesIO(content)).convert("RGB")
    if picture.width > width:
        height = round(picture.height * width / picture.width)
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    # Other methods lose the colours of few pixels, such as those of the titles.
    return _bytes(picture.quantize(64, method=Image.Quantize.FASTOCTREE))


def img(content: bytes, alt: str, class_: str = "pixels") -> Html:
    """The image, with the text for those who do not see it."""
    source = base64.b64encode(content).decode()
    return element(
        "img", src=f"data:image/png;base64,{source}", alt=alt, class_=class_,
    )  # fmt: skip


def _bytes(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return file.getvalue()
