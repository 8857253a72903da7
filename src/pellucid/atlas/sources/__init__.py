"""Where an atlas's images come from: folders, tars, WebDatasets, Parquet, Hugging Face datasets, and Python objects.

Whatever the source, the atlas asks for the same things: how many images there are, what each is called, its class where
the source says one, and its pixels. Nothing is unpacked or copied, and an image is read when it is asked for.
"""

import os
from typing import Any

from ._objects import Objects
from ._paths import open_path
from ._source import Images as Images


def open_images(source: Any) -> Images:
    """The images of a source, none of which is read yet.

    Args:
        source: one of

            - a folder, with all that is below it: the innermost sub-folders that differ are the classes;
            - a `.tar`, folders in it being classes, or a WebDataset (`key.jpg` beside `key.cls`, `key.json` with a
              `label`, or `key.txt`), in one file, a folder of them, or a pattern: `shard-{000..009}.tar`, `part-*.tar`;
            - a Parquet file or a folder of them, with a column of encoded images and perhaps one of labels;
            - a folder that `save_to_disk` of Hugging Face datasets made;
            - a torch or Hugging Face dataset, or any sequence, of images, pairs (image, label) or
              {"image": …, "label": …}: Pillow images, paths, bytes, or arrays (uint8 [height, width, channels] or
              floats [channels, height, width] in [0, 1]);
            - a batch: such images as one array or tensor [n, …];
            - what has all of `Images` itself.

    Raises:
        InputError: nothing there, nothing that can be read, or no images in it.
        MissingExtraError: Parquet or Arrow without pyarrow.

    Example:
        >>> images = open_images("photos/")  # doctest: +SKIP
        >>> images.load(0, (224, 224)).shape  # doctest: +SKIP
        (3, 224, 224)
    """
    if isinstance(source, (str, os.PathLike)):
        return open_path(os.path.expanduser(os.fspath(source)))
    if isinstance(source, Images):
        return source
    return Objects(source)
