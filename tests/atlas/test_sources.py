"""Images from files, archives, tables and Python objects: the same pixels from all of them, and what is broken told."""

import hashlib
import io
import json
import os
import pickle
import sys
import tarfile
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from torch.utils.data import ConcatDataset, Dataset, IterableDataset, Subset

from pellucid import pictures
from pellucid.atlas.sources import Images, _tables, open_images
from pellucid.errors import InputError, MissingExtraError

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

SIZE = (24, 20)


def array(seed, height=30, width=40):
    """uint8 [height, width, 3]: smooth, and another for every seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def encoded(seed, kind="JPEG", **options):
    buffer = io.BytesIO()
    Image.fromarray(array(seed)).save(buffer, kind, **options)
    return buffer.getvalue()


def expected(content, size=SIZE):
    """uint8 [3, height, width] of the bytes of a file, by Pillow alone."""
    picture = Image.open(io.BytesIO(content)).convert("RGB")
    fitted = ImageOps.fit(picture, (size[1], size[0]), Image.Resampling.LANCZOS)
    return np.asarray(fitted).transpose(2, 0, 1)


def write_folder(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def write_tar(path, files, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", **options) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def check(images, contents):
    """Every image is the one of these bytes, in pixels and in identity."""
    assert isinstance(images, Images)
    assert len(images) == len(images.keys) == len(images.labels) == len(contents)
    assert len(set(images.keys)) == len(contents)
    for index, content in enumerate(contents):
        loaded = images.load(index, SIZE)
        assert loaded.dtype == np.uint8
        assert loaded.flags.c_contiguous
        np.testing.assert_array_equal(loaded, expected(content))
        assert images.content(index) == hashlib.sha256(content).hexdigest()


CLASSES = {
    "cat/1.jpg": encoded(1),
    "cat/2.JPEG": encoded(2),
    "dog/1.png": encoded(3, "PNG"),
    "dog/2.webp": encoded(4, "WEBP"),
}


# ---- folders


def test_folder_of_classes(tmp_path):
    others = {"notes.txt": b"?", ".hidden.jpg": encoded(5), ".git/a.jpg": encoded(6), "dog/Thumbs.db": b"?"}
    images = open_images(write_folder(tmp_path, CLASSES | others))
    assert images.keys == list(CLASSES)
    assert images.labels == ["cat", "cat", "dog", "dog"]
    assert images.remarks == []
    check(images, list(CLASSES.values()))


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (["a.jpg", "b.jpg"], [None, None]),
        (["cat/images/a.jpg", "dog/images/a.jpg"], ["cat", "dog"]),
        (["train/cat/a.jpg", "train/dog/b.jpg"], ["cat", "dog"]),
        (["train/cat/a.jpg", "val/cat/b.jpg", "val/dog/b.jpg"], ["cat", "cat", "dog"]),
        (["cat/a.jpg"], ["cat"]),
        (["a.jpg", "cat/a.jpg"], [None, "cat"]),
        (["n01440764_tench.jpg", "n02124075_7.JPEG"], ["n01440764", "n02124075"]),
    ],
)
def test_which_folders_are_classes(tmp_path, names, labels):
    files = {name: encoded(seed) for seed, name in enumerate(names)}
    from_folder = open_images(write_folder(tmp_path / "folder", files))
    assert dict(zip(from_folder.keys, from_folder.labels, strict=True)) == dict(zip(names, labels, strict=True))
    from_tar = open_images(write_tar(tmp_path / "a.tar", files))
    assert (from_tar.keys, from_tar.labels) == (names, labels)


def test_links(tmp_path):
    elsewhere = write_folder(tmp_path / "elsewhere", {"owl/x.jpg": encoded(9)})
    folder = write_folder(tmp_path / "folder", CLASSES)
    (folder / "dog" / "up").symlink_to(folder)
    (folder / "dog" / "self").symlink_to(folder / "dog" / "self")
    (folder / "a").symlink_to(folder / "cat")  # sorted before what it points at
    (folder / "birds").symlink_to(elsewhere)
    (folder / "gone.jpg").symlink_to(tmp_path / "nothing.jpg")
    os.mkfifo(folder / "pipe.jpg")
    images = open_images(folder)
    assert images.keys == ["birds/owl/x.jpg", *CLASSES, "gone.jpg"]
    with pytest.raises(InputError, match=r"no file .*gone\.jpg"):
        images.load(5, SIZE)
    with pytest.raises(InputError, match=r"gone\.jpg of .* cannot be read"):
        images.content(5)


def test_a_folder_that_may_not_be_read_is_told(tmp_path, monkeypatch):
    folder = write_folder(tmp_path, CLASSES)
    real = os.scandir

    def scandir(path):
        if str(path).endswith("dog"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    images = open_images(folder)
    assert images.labels == ["cat", "cat"]
    assert "dog cannot be read: Permission denied" in images.remarks[0]


def test_names_that_are_no_text(tmp_path):
    name = os.fsdecode(b"\xff\xfe.jpg")
    folder = write_folder(tmp_path / os.fsdecode(b"\xff"), {name: encoded(1), "dog/é.jpg": encoded(2)})
    images = open_images(folder)
    assert images.keys == ["\\xff\\xfe.jpg", "dog/é.jpg"]
    "".join([*images.keys, images.where]).encode()
    assert images.reopen() is None
    check(images, [encoded(1), encoded(2)])
    tar = open_images(write_tar(tmp_path / "a.tar", {name: encoded(1)}))
    assert tar.keys == ["\\xff\\xfe.jpg"]
    check(tar, [encoded(1)])


def test_a_single_picture_and_a_home(tmp_path, monkeypatch):
    write_folder(tmp_path, {"a.png": encoded(1, "PNG")})
    monkeypatch.setenv("HOME", str(tmp_path))
    images = open_images("~/a.png")
    assert images.keys == ["a.png"]
    check(images, [encoded(1, "PNG")])


# ---- identity


def test_digest_follows_what_is_there(tmp_path):
    folder = write_folder(tmp_path / "folder", CLASSES)
    before = open_images(folder)
    again = open_images(before.reopen())
    assert again.digest == before.digest
    assert again.keys == before.keys
    os.utime(folder / "cat/1.jpg", ns=(1, 1))  # as copying does
    assert open_images(folder).digest == before.digest
    content = bytearray((folder / "cat/1.jpg").read_bytes())
    content[-3] ^= 1
    (folder / "cat/1.jpg").write_bytes(content)
    touched = open_images(folder).digest
    (folder / "dog/2.webp").rename(folder / "dog/3.webp")
    renamed = open_images(folder).digest
    (folder / "dog/3.webp").unlink()
    assert len({before.digest, touched, renamed, open_images(folder).digest}) == 4


@pytest.mark.parametrize("kind", ["folder", "tar", "parquet", "arrow", "pattern"])
def test_reopened_from_another_place(tmp_path, monkeypatch, kind):
    content = encoded(0)
    where = {
        "folder": lambda: write_folder(tmp_path / "folder", {"a.jpg": content}).name,
        "tar": lambda: write_tar(tmp_path / "a.tar", {"a.jpg": content}).name,
        "parquet": lambda: write_parquet(tmp_path / "a.parquet", [content]).name,
        "arrow": lambda: write_saved(tmp_path / "saved", [content]).name,
        "pattern": lambda: write_tar(tmp_path / "s-0.tar", {"a.jpg": content}).name.replace("0", "{0..0}"),
    }[kind]()
    monkeypatch.chdir(tmp_path)
    images = open_images(where)
    assert images.where == where
    copy = pickle.loads(pickle.dumps(images))
    monkeypatch.chdir("/")
    again = open_images(images.reopen())
    assert (again.digest, again.keys, again.labels) == (images.digest, images.keys, images.labels)
    for one in (images, copy, again):
        np.testing.assert_array_equal(one.load(0, SIZE), expected(content))


def test_digest_of_tar_follows_its_members(tmp_path):
    path = write_tar(tmp_path / "a.tar", CLASSES)
    before = open_images(path).digest
    assert open_images(path).digest == before
    time_ = path.stat().st_mtime_ns
    write_tar(path, {name.replace("cat", "cow"): content for name, content in CLASSES.items()})
    os.utime(path, ns=(time_, time_))
    assert open_images(path).digest != before
    write_tar(path, CLASSES)
    os.utime(path, ns=(time_, time_ + 1))
    assert open_images(path).digest == before


# ---- tars


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_tar_is_as_the_folder(tmp_path, form):
    long = {f"dog/{'x' * 90}{'/' + 'y' * 60}/ü.jpg": encoded(7)} if form != tarfile.USTAR_FORMAT else {}
    files = {f"./{name}": content for name, content in (CLASSES | long).items()} | {
        "./._cat.jpg": b"?",
        "./a.txt": b"?\n?",
    }
    images = open_images(write_tar(tmp_path / "a.tar", files, format=form))
    assert images.keys == list(CLASSES | long)
    assert images.labels[:4] == ["cat", "cat", "dog", "dog"]
    assert images.remarks == []
    check(images, [*CLASSES.values(), *long.values()])


def test_tar_in_threads(tmp_path):
    contents = {f"{number}.jpg": encoded(number) for number in range(60)}
    images = open_images(write_tar(tmp_path / "a.tar", contents))
    copy = pickle.loads(pickle.dumps(images))
    wanted = [expected(content) for content in contents.values()]
    filters = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        for one in (images, copy):
            for loaded, right in zip(pool.map(lambda n, one=one: one.load(n, SIZE), range(60)), wanted, strict=True):
                np.testing.assert_array_equal(loaded, right)
    assert warnings.filters == filters


def test_warnings_come_back_whoever_leaves_first():
    filters = list(warnings.filters)
    inside, leave = threading.Event(), threading.Event()

    def stay():
        with pictures._NO_WARNINGS:
            inside.set()
            leave.wait(10)

    other = threading.Thread(target=stay)
    with pictures._NO_WARNINGS:
        other.start()
        inside.wait(10)
    assert warnings.filters != filters  # the other is still within
    leave.set()
    other.join()
    assert warnings.filters == filters


def test_last_of_a_name_counts_and_links_are_told(tmp_path):
    path = write_tar(tmp_path / "a.tar", {"a.jpg": encoded(1), "b.jpg": encoded(2)})
    with tarfile.open(path, "a") as tar:
        member = tarfile.TarInfo("a.jpg")
        member.size = len(encoded(3))
        tar.addfile(member, io.BytesIO(encoded(3)))
        link = tarfile.TarInfo("c.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
        folder = tarfile.TarInfo("folder.jpg")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
    images = open_images(path)
    assert images.keys == ["a.jpg", "b.jpg"]
    check(images, [encoded(3), encoded(2)])
    assert [remark.split(" in ")[0] for remark in images.remarks] == ["1 links and special files"]


def test_tar_cut_anywhere(tmp_path):
    """What is before the cut is read and the cut is told, wherever it is."""
    contents = [encoded(number) for number in range(4)]
    path = write_tar(tmp_path / "a.tar", {f"{number}.jpg": content for number, content in enumerate(contents)})
    with tarfile.open(path) as tar:
        ends = [member.offset_data + member.size for member in tar.getmembers()]
    whole = path.read_bytes()
    last = 512 * -(-ends[-1] // 512)
    for cut in [*range(1, last, 101), *ends, *(end - 1 for end in ends), *range(512, last + 1, 512)]:
        path.write_bytes(whole[:cut])
        there = sum(end <= cut for end in ends)
        if not there:
            with pytest.raises(InputError, match=r"a\.tar (holds no images|is not a tar)"):
                open_images(path)
            continue
        images = open_images(path)
        assert len(images) == there, cut
        assert any("cut short" in remark for remark in images.remarks), cut
        assert images.content(there - 1) == hashlib.sha256(contents[there - 1]).hexdigest()
    path.write_bytes(whole[: last + 1024])
    assert open_images(path).remarks == []


def test_tar_with_a_damaged_header(tmp_path):
    path = write_tar(tmp_path / "a.tar", {f"{number}.jpg": encoded(number) for number in range(4)})
    with tarfile.open(path) as tar:
        third = tar.getmembers()[2].offset
    whole = bytearray(path.read_bytes())
    whole[third : third + 20] = b"\xff" * 20
    path.write_bytes(whole)
    images = open_images(path)
    check(images, [encoded(0), encoded(1)])
    assert "only the 2 files before that" in images.remarks[0]


def test_tar_with_a_negative_size(tmp_path):
    """Reading goes on from where such a size leads, which may be back."""
    path = write_tar(tmp_path / "a.tar", {"0.jpg": encoded(0), "1.jpg": encoded(1)})
    with tarfile.open(path) as tar:
        second = tar.getmembers()[1].offset
    whole = bytearray(path.read_bytes())
    size = -(second + 512)
    whole[second + 124 : second + 136] = b"\xff" + (256**11 + size).to_bytes(11, "big")
    total = sum(whole[second : second + 148]) + 8 * 32 + sum(whole[second + 156 : second + 512])
    whole[second + 148 : second + 156] = f"{total:06o}\0 ".encode()
    path.write_bytes(whole)
    images = open_images(path)
    check(images, [encoded(0)])
    assert "cut short or damaged" in images.remarks[0]


def test_sparse_files_in_a_tar_are_left_out(tmp_path):
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, headers in {"a.jpg": {}, "b.jpg": {"GNU.sparse.map": "0,512", "GNU.sparse.size": "9000000"}}.items():
            member = tarfile.TarInfo(name)
            member.pax_headers, member.size = headers, len(encoded(1))
            tar.addfile(member, io.BytesIO(encoded(1)))
    images = open_images(path)
    check(images, [encoded(1)])
    assert images.remarks == [f"1 links and special files in {path} were left out"]


@pytest.mark.parametrize("name", ["../a.jpg", "x/../../a.jpg", "..\\a.jpg"])
def test_tar_that_leads_out_of_itself(tmp_path, name):
    path = write_tar(tmp_path / "a.tar", {"a.jpg": encoded(1), name: encoded(2)})
    with pytest.raises(InputError, match="leads out of it"):
        open_images(path)


def test_absolute_names_in_a_tar(tmp_path):
    images = open_images(write_tar(tmp_path / "a.tar", {"/data/cat/a.jpg": encoded(1), "/data/dog/a.jpg": encoded(2)}))
    assert images.keys == ["data/cat/a.jpg", "data/dog/a.jpg"]
    assert images.labels == ["cat", "dog"]


# ---- WebDataset


def test_webdataset(tmp_path):
    files = {
        "000.jpg": encoded(0),
        "000.cls": b"7\n",
        "000.json": b'{"label": "no"}',
        "001.png": encoded(1, "PNG"),
        "001.json": b'{"label": 3, "other": [1]}',
        "002.jpg": encoded(2),
        "002.txt": b" great white shark ",
        "003.jpg": encoded(3),
        "003.txt": b"A photo of a dog.\nIt barks.",
        "004.input.jpg": encoded(4),
        "004.cls": b"4",
        "005.jpg": encoded(5),
        "005.json": b'{"caption": "no class"}',
        "006.jpg": encoded(6),
        "006.json": b"{broken",
        "007.jpg": encoded(7),
        "007.cls": b"-1",
        "008.jpg": encoded(8),
        "008.json": b"[1]",
    }
    images = open_images(write_tar(tmp_path / "a.tar", files))
    assert images.labels == ["7", "3", "great white shark", None, "4", None, None, "-1", None]
    assert images.remarks == [f"1 files of {tmp_path / 'a.tar'} that should tell a class cannot be read"]
    check(images, [content for name, content in files.items() if name.endswith(("jpg", "png"))])


@pytest.fixture
def shards(tmp_path):
    for shard in range(3):
        files = {}
        for number in range(2):
            files |= {f"{number}.jpg": encoded(10 * shard + number), f"{number}.cls": str(shard).encode()}
        write_tar(tmp_path / f"shard-{shard:03}.tar", files)
    return tmp_path


@pytest.mark.parametrize(
    "where", ["", "shard-{000..002}.tar", "shard-*.tar", "shard-00[0-2].tar", "shard-00{0,1,2}.tar"]
)
def test_shards(shards, where):
    images = open_images(shards / where)
    assert images.keys == [f"shard-00{shard}.tar/{number}.jpg" for shard in range(3) for number in range(2)]
    assert images.labels == ["0", "0", "1", "1", "2", "2"]
    check(images, [encoded(10 * shard + number) for shard in range(3) for number in range(2)])


def test_some_shards(shards):
    assert open_images(shards / "shard-{001..002}.tar").labels == ["1", "1", "2", "2"]
    assert open_images(shards / "shard-{002..001}.tar").labels == ["2", "2", "1", "1"]
    with pytest.raises(InputError, match=r"no file .*shard-003\.tar, which .* names"):
        open_images(shards / "shard-{000..003}.tar")
    with pytest.raises(InputError, match="no file fits"):
        open_images(shards / "part-*.tar")
    with pytest.raises(InputError, match="more than 100,000 files"):
        open_images(shards / "shard-{000..999999999}.tar")


def test_a_damaged_shard_is_left_out(shards):
    (shards / "shard-001.tar").write_bytes(b"no tar" * 200)
    images = open_images(shards)
    assert images.labels == ["0", "0", "2", "2"]
    assert "shard-001.tar is not a tar" in images.remarks[0]
    assert images.remarks[0].endswith("it was left out")
    check(images, [encoded(0), encoded(1), encoded(20), encoded(21)])


# ---- what cannot be opened


@pytest.mark.parametrize(
    ("files", "where", "message"),
    [
        ({}, "nothing", r"no file or folder .*nothing; check the path\.$"),
        ({"a/b.txt": b""}, "a", r"holds no images \(1 other files\); expected .*\.parquet\.$"),
        ({"a/.b.jpg": b""}, "a", r"holds no images; expected .*\.parquet\.$"),
        ({"a.tar": b""}, "a.tar", r"not a tar, or compressed, or damaged: empty file\.$"),
        ({"a.tar": b"\x1f\x8b" + bytes(600)}, "a.tar", "not a tar, or compressed"),
        ({"a.tar.gz": b"\x1f\x8b"}, "a.tar.gz", "is compressed.* unpack it"),
        ({"a.tgz": b"\x1f\x8b"}, "a.tgz", "is compressed.* unpack it"),
        ({"a.csv": b"1"}, "a.csv", r"not of a kind that can be read \(\.csv\)"),
        ({"a": b"1"}, "a", r"not of a kind that can be read \(no suffix\)"),
        ({"a.parquet": b"PAR1"}, "a.parquet", "is damaged, or not what its name says"),
        ({"a.arrow": b""}, "a.arrow", "is damaged, or not what its name says"),
        ({"a.arrow": b"ARROW1" * 9}, "a.arrow", "is damaged, or not what its name says"),
    ],
)
def test_nothing_to_read(tmp_path, files, where, message):
    write_folder(tmp_path, files)
    with pytest.raises(InputError, match=message) as caught:
        open_images(tmp_path / where)
    assert "\n" not in str(caught.value)


def test_tar_without_images(tmp_path):
    with pytest.raises(InputError, match=r"holds no images\.$"):
        open_images(write_tar(tmp_path / "a.tar", {}))
    with pytest.raises(InputError, match=r"of its 2 files one is n01\.tar"):
        open_images(write_tar(tmp_path / "b.tar", {"n01.tar": b"", "n02.tar": b""}))


# ---- broken images


BROKEN = {
    "b/cut.jpg": encoded(1)[:-200],
    "b/head.jpg": encoded(1)[:30],
    "b/empty.jpg": b"",
    "b/text.png": b"<html>",
    "b/cut.png": encoded(1, "PNG")[:-300],
}


@pytest.mark.parametrize("kind", ["folder", "tar", "parquet", "list"])
def test_broken_images_are_told_one_by_one(tmp_path, kind):
    files = {"a.jpg": encoded(0), **dict(sorted(BROKEN.items())), "c.jpg": encoded(2)}
    images = {
        "folder": lambda: open_images(write_folder(tmp_path / "folder", files)),
        "tar": lambda: open_images(write_tar(tmp_path / "a.tar", files)),
        "parquet": lambda: open_images(write_parquet(tmp_path / "a.parquet", list(files.values()))),
        "list": lambda: open_images(list(files.values())),
    }[kind]()
    for index, key in enumerate(files):
        if key in BROKEN:
            with pytest.raises(InputError, match=r"damaged or cut short|not a picture") as caught:
                images.load(index, SIZE)
            assert images.keys[index] in str(caught.value)
            assert "\n" not in str(caught.value)
        else:
            np.testing.assert_array_equal(images.load(index, SIZE), expected(files[key]))
        assert images.content(index) == hashlib.sha256(files[key]).hexdigest()


def test_duplicates_have_one_content(tmp_path):
    images = open_images(
        write_tar(tmp_path / "a.tar", {"a.jpg": encoded(1), "b/c.jpg": encoded(1), "d.jpg": encoded(2)})
    )
    assert images.content(0) == images.content(1) != images.content(2)
    images = open_images([array(1), array(1).copy(), array(2), Image.fromarray(array(1)), Image.fromarray(array(1))])
    contents = [images.content(index) for index in range(5)]
    assert contents[0] == contents[1]
    assert contents[3] == contents[4]
    assert len(set(contents)) == 3
    one = Image.fromarray(array(1)).quantize(4)
    other = one.copy()
    other.putpalette(bytes(range(12)))
    images = open_images([one, other])
    assert images.content(0) != images.content(1)


def test_a_file_that_shrank_after_it_was_opened(tmp_path):
    path = write_tar(tmp_path / "a.tar", CLASSES)
    images = open_images(path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match="damaged or cut short"):
        images.load(0, SIZE)
    path.unlink()
    with pytest.raises(InputError, match="cannot be read"):
        images.load(0, SIZE)


# ---- tables


NAMES = ["cat", "dog", "owl"]


def features(names=NAMES, image="image", label="label"):
    return {image: {"_type": "Image"}, label: {"names": names, "_type": "ClassLabel"}}


def table(contents, labels=None, *, told=None, struct=True, column="image", label="label", **more):
    cells = [{"bytes": content, "path": None} for content in contents]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())]) if struct else pa.binary()
    columns = {column: pa.array(cells if struct else contents, kind)}
    if labels is not None:
        columns[label] = pa.array(labels)
    made = pa.table(columns | more)
    if told is not None:
        made = made.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": told}})})
    return made


def write_parquet(path, contents, labels=None, *, rows=None, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table(contents, labels, **options), path, row_group_size=rows)
    return path


@pytest.mark.parametrize(
    ("options", "labels"),
    [
        ({}, [None, None, None, None]),
        ({"labels": [0, 2, 1, -1]}, ["0", "2", "1", None]),
        ({"labels": [0, 2, 7, None], "told": features()}, ["cat", "owl", "7", None]),
        ({"labels": ["a", "b", None, " "]}, ["a", "b", None, None]),
        ({"labels": [0, 1, 2, 0], "struct": False, "told": features()}, ["cat", "dog", "owl", "cat"]),
        ({"labels": [0, 1, 2, 0], "label": "kind", "told": features(label="kind")}, ["cat", "dog", "owl", "cat"]),
        ({"labels": [0, 1, 2, 0], "label": "fine_label", "column": "img"}, ["0", "1", "2", "0"]),
        ({"labels": [0, 1, 2, 0], "label": "price", "column": "scan"}, [None, None, None, None]),
        ({"labels": [0, 1, 2, 0], "more": pa.array([b"a", b"b", b"c", b"d"])}, ["0", "1", "2", "0"]),
        ({"column": "z", "told": features(image="z"), "image": pa.array([b"a", b"b", b"c", b"d"])}, [None] * 4),
    ],
)
def test_parquet(tmp_path, options, labels):
    contents = [encoded(number) for number in range(4)]
    images = open_images(write_parquet(tmp_path / "a.parquet", contents, **options))
    assert images.labels == labels
    check(images, contents)


def test_parquet_folder_in_any_order(tmp_path, monkeypatch):
    monkeypatch.setattr(_tables, "_WINDOW_BYTES", 3_000)
    contents = [encoded(number) for number in range(90)]
    for part, rows in enumerate((7, 30, 100)):
        own = contents[30 * part : 30 * part + 30]
        name = tmp_path / "data" / f"train-{part}.parquet"
        write_parquet(name, own, [part] * 30, rows=rows, told=features())
    images = open_images(tmp_path)
    assert images.labels == ["cat"] * 30 + ["dog"] * 30 + ["owl"] * 30
    assert images.keys[31] == "train-1.parquet/1"
    order = np.random.default_rng(0).permutation(90)
    wanted = [hashlib.sha256(content).hexdigest() for content in contents]
    for one in (images, pickle.loads(pickle.dumps(images))):
        assert [one.content(index) for index in range(90)] == wanted
        assert [one.content(int(index)) for index in order] == [wanted[index] for index in order]
        with ThreadPoolExecutor(6) as pool:
            assert list(pool.map(one.content, range(90))) == wanted
        assert one.content(-1) == wanted[-1]
        with pytest.raises(IndexError):
            one.content(90)


def test_parquet_holds_little_and_reads_on(tmp_path, monkeypatch):
    """One huge row group is read once from end to end, window by window."""
    contents = [encoded(number) for number in range(200)]
    images = open_images(write_parquet(tmp_path / "a.parquet", contents))
    assert isinstance(images, _tables.Parquet)
    limit = 20_000
    monkeypatch.setattr(_tables, "_WINDOW_BYTES", limit)
    begun = []
    real = _tables.Parquet._windows_of
    monkeypatch.setattr(_tables.Parquet, "_windows_of", lambda self, *a: begun.append(a) or real(self, *a))
    for index in range(200):
        assert images.content(index) == hashlib.sha256(contents[index]).hexdigest()
        assert sum(sum(map(len, contents[window.first : window.last])) for window in images._windows) < 5 * limit
    assert len(begun) == 1


def test_a_row_group_is_not_held_whole(tmp_path, monkeypatch):
    random = np.random.default_rng(0)
    contents = [random.bytes(40_000) for _ in range(400)]
    path = tmp_path / "a.parquet"
    parquet.write_table(table(contents), path, write_batch_size=8)  # a page is the least that can be read
    images = open_images(path)
    monkeypatch.setattr(_tables, "_WINDOW_BYTES", 400_000)
    before = pa.total_allocated_bytes()
    for index in range(400):
        assert images.content(index) == hashlib.sha256(contents[index]).hexdigest()
        assert pa.total_allocated_bytes() - before < 6_000_000


def test_one_thread_reads_on_in_parquet(tmp_path, monkeypatch):
    contents = [encoded(number) for number in range(30)]
    images = open_images(write_parquet(tmp_path / "a.parquet", contents, rows=2))
    real, inside = _tables.Parquet._read, []

    def read(self, part, row):
        assert not inside
        inside.append(row)
        time.sleep(0.002)
        window = real(self, part, row)
        inside.clear()
        return window

    monkeypatch.setattr(_tables.Parquet, "_read", read)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(images.content, range(30))) == [
            hashlib.sha256(content).hexdigest() for content in contents
        ]


def test_damaged_parquet_is_left_out(tmp_path):
    write_parquet(tmp_path / "0.parquet", [encoded(0)])
    write_parquet(tmp_path / "1.parquet", [encoded(1)])
    whole = (tmp_path / "0.parquet").read_bytes()
    (tmp_path / "0.parquet").write_bytes(whole[:-50])
    images = open_images(tmp_path)
    check(images, [encoded(1)])
    assert "0.parquet is damaged" in images.remarks[0]


def test_rows_of_parquet_that_are_damaged(tmp_path):
    """A page that cannot be unpacked: its rows are told, those of other groups read."""
    contents = [encoded(number, "BMP") for number in range(4)]
    path = tmp_path / "a.parquet"
    parquet.write_table(table(contents), path, row_group_size=2, compression="zstd", use_dictionary=False)
    column = parquet.ParquetFile(path).metadata.row_group(0).column(0)
    whole = bytearray(path.read_bytes())
    middle = column.data_page_offset + column.total_compressed_size // 2
    whole[middle : middle + 100] = b"\xff" * 100
    path.write_bytes(whole)
    images = open_images(path)
    for index in (0, 1):
        with pytest.raises(InputError, match=rf"a\.parquet/{index} of .* is damaged"):
            images.load(index, SIZE)
    np.testing.assert_array_equal(images.load(3, SIZE), expected(contents[3]))


@pytest.mark.parametrize("writer", ["parquet", "arrow"])
def test_images_beside_the_table(tmp_path, writer):
    write_folder(tmp_path, {"photos/a.jpg": encoded(1)})
    absolute = write_folder(tmp_path / "away", {"b.jpg": encoded(2)}) / "b.jpg"
    paths = ["photos/a.jpg", str(absolute), "../secret.jpg", None, "gone.jpg"]
    cells = [{"bytes": None, "path": path} for path in paths]
    made = pa.table({"image": pa.array(cells, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))})
    folder = tmp_path / "table"
    folder.mkdir()
    (folder / "photos").symlink_to(tmp_path / "photos")
    if writer == "parquet":
        parquet.write_table(made, folder / "a.parquet")
        images = open_images(folder / "a.parquet")
    else:
        write_stream(folder / "data-0.arrow", made)
        images = open_images(folder)
    np.testing.assert_array_equal(images.load(0, SIZE), expected(encoded(1)))
    np.testing.assert_array_equal(images.load(1, SIZE), expected(encoded(2)))
    for index, message in ((2, "leads out of its folder"), (3, "is empty"), (4, r"no file .*gone\.jpg")):
        with pytest.raises(InputError, match=message):
            images.load(index, SIZE)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"text": ["a"], "label": [1]}, "no column of encoded images.* text, label"),
        ({"left": [b"a"], "right": [b"b"]}, "no column of encoded images.* left, right"),
        ({"image": pa.array([], pa.binary())}, "its tables have no rows"),
    ],
)
def test_tables_without_images(tmp_path, columns, message):
    parquet.write_table(pa.table(columns), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=message):
        open_images(tmp_path / "a.parquet")


def test_without_pyarrow(tmp_path, monkeypatch):
    path = write_parquet(tmp_path / "a.parquet", [encoded(1)])
    saved = write_saved(tmp_path / "saved", [encoded(1)])
    for name in [name for name in sys.modules if name.split(".")[0] == "pyarrow"]:
        monkeypatch.setitem(sys.modules, name, None)
    for where in (path, saved):
        with pytest.raises(MissingExtraError, match=r"pip install 'pellucid\[atlas\]'"):
            open_images(where)
    check(open_images(write_folder(tmp_path / "folder", CLASSES)), list(CLASSES.values()))


def write_stream(path, made, rows=None):
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, made.schema) as writer:
        writer.write_table(made, max_chunksize=rows)


def write_saved(folder, contents, labels=None, *, shards=1, rows=None, told=None):
    """A folder as Dataset.save_to_disk of Hugging Face datasets makes it."""
    folder.mkdir(parents=True)
    files = []
    step = -(-len(contents) // shards)
    for shard in range(shards):
        part = slice(shard * step, (shard + 1) * step)
        files.append({"filename": f"data-{shard:05}-of-{shards:05}.arrow"})
        made = table(contents[part], labels[part] if labels else None, told=told)
        write_stream(folder / files[-1]["filename"], made, rows)
    (folder / "state.json").write_text(json.dumps({"_data_files": files, "_fingerprint": "0"}))
    (folder / "dataset_info.json").write_text(json.dumps({"features": features(["a", "b", "c"])}))
    return folder


@pytest.mark.parametrize("told", [features(), None])
def test_saved_dataset(tmp_path, told):
    contents = [encoded(number) for number in range(20)]
    labels = [number % 3 for number in range(20)]
    folder = write_saved(tmp_path / "saved", contents, labels, shards=3, rows=4, told=told)
    write_stream(folder / "cache-17.arrow", table([encoded(50)]))
    images = open_images(folder)
    assert images.labels == [(NAMES if told else ["a", "b", "c"])[label] for label in labels]
    check(images, contents)
    with ThreadPoolExecutor(6) as pool:
        copy = pickle.loads(pickle.dumps(images))
        assert list(pool.map(copy.content, range(20))) == [images.content(index) for index in range(20)]
    assert len(pickle.dumps(images)) < sum(map(len, contents))  # the pictures do not travel
    (folder / "state.json").unlink()
    assert open_images(folder).keys == images.keys


def test_saved_splits(tmp_path):
    write_saved(tmp_path / "train", [encoded(0), encoded(1)], [0, 1])
    write_saved(tmp_path / "test", [encoded(2)], [2])
    (tmp_path / "dataset_dict.json").write_text(json.dumps({"splits": ["train", "test"]}))
    images = open_images(tmp_path)
    assert images.labels == ["a", "b", "c"]
    assert images.keys[2] == "test/data-00000-of-00001.arrow/0"
    check(images, [encoded(0), encoded(1), encoded(2)])


def test_saved_dataset_cut_short(tmp_path):
    contents = [encoded(number) for number in range(12)]
    folder = write_saved(tmp_path / "saved", contents, rows=3)
    (path,) = folder.glob("data-*.arrow")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    images = open_images(folder)
    assert 3 <= len(images) < 12
    assert images.remarks == [f"{path} is cut short or damaged after {len(images)} rows"]
    check(images, contents[: len(images)])
    path.unlink()
    with pytest.raises(InputError, match=r"data-00000-of-00001\.arrow is damaged"):
        open_images(folder)


# ---- Python objects


def pixels_of(made, size=SIZE):
    return expected_of(Image.fromarray(made), size)


def expected_of(picture, size=SIZE):
    fitted = ImageOps.fit(picture.convert("RGB"), (size[1], size[0]), Image.Resampling.LANCZOS)
    return np.asarray(fitted).transpose(2, 0, 1)


def as_float(made):
    return torch.from_numpy(made.astype(np.float32) / 255).permute(2, 0, 1)


@pytest.mark.parametrize(
    "convert",
    [
        lambda made, path: Image.fromarray(made),
        lambda made, path: path,
        lambda made, path: str(path),
        lambda made, path: path.read_bytes(),
        lambda made, path: bytearray(path.read_bytes()),
        lambda made, path: made,
        lambda made, path: made.astype(np.uint16) * 257,
        lambda made, path: as_float(made),
        lambda made, path: as_float(made).numpy(),
        lambda made, path: as_float(made).double().permute(1, 2, 0).numpy(),
        lambda made, path: as_float(made).requires_grad_(),
        lambda made, path: torch.from_numpy(made.copy()).permute(2, 0, 1),
        lambda made, path: {"bytes": path.read_bytes(), "path": None},
        lambda made, path: {"bytes": None, "path": str(path)},
    ],
)
@pytest.mark.parametrize("wrap", ["bare", "pair", "dictionary"])
def test_items_of_every_kind(tmp_path, convert, wrap):
    items = []
    for seed in range(3):
        path = tmp_path / f"{seed}.png"
        path.write_bytes(encoded(seed, "PNG"))
        image = convert(array(seed), path)
        items.append({"bare": image, "pair": (image, seed), "dictionary": {"label": seed, "image": image}}[wrap])
    images = open_images(items)
    assert isinstance(images, Images)
    assert images.reopen() is None
    assert list(images.labels) == ([None] * 3 if wrap == "bare" else ["0", "1", "2"])
    for seed in range(3):
        np.testing.assert_array_equal(images.load(seed, SIZE), pixels_of(array(seed)))


def test_grey_and_transparent_items():
    grey = array(1)[:, :, 0]
    images = open_images([grey, grey[..., None], grey[None], Image.fromarray(grey), torch.from_numpy(grey / 255)])
    wanted = expected_of(Image.fromarray(grey))
    for index in range(5):
        np.testing.assert_array_equal(images.load(index, SIZE), wanted)
        np.testing.assert_array_equal(images.load(index, SIZE, 1), wanted[:1])
    clear = np.dstack([array(1), np.zeros((30, 40), np.uint8)])
    assert (open_images([clear]).load(0, SIZE) == 255).all()


def test_which_end_of_an_array_is_channels():
    """Where both could be: floats are as torch has them, bytes as files have them."""
    made = array(1, 3, 8)
    np.testing.assert_array_equal(open_images([made]).load(0, SIZE), pixels_of(made))
    image = made.transpose(2, 1, 0)  # [3, 8, 3]
    np.testing.assert_array_equal(
        open_images([image.astype(np.float32) / 255]).load(0, SIZE), pixels_of(image.transpose(1, 2, 0))
    )


def test_turned_the_way_it_was_taken(tmp_path):
    """A photo taken upright is upright from a file, from a tar and from Pillow."""
    exif = Image.Exif()
    exif[0x0112] = 6
    content = encoded(1, exif=exif)
    turned = expected_of(Image.open(io.BytesIO(content)).transpose(Image.Transpose.ROTATE_270))
    picture = Image.open(io.BytesIO(content))
    for source in (
        write_folder(tmp_path / "folder", {"a.jpg": content}),
        write_tar(tmp_path / "a.tar", {"a.jpg": content}),
        [picture],
    ):
        np.testing.assert_array_equal(open_images(source).load(0, SIZE), turned)


def test_large_jpegs_come_fast_and_right(tmp_path):
    buffer = io.BytesIO()
    large = Image.fromarray(array(1, 1500, 2000))
    large.save(buffer, "JPEG", quality=95)
    images = open_images([buffer.getvalue()])
    difference = images.load(0, SIZE).astype(float) - expected_of(large)
    assert np.abs(difference).max() < 4


@pytest.mark.parametrize(
    "convert",
    [
        lambda made: made,
        lambda made: torch.from_numpy(made),
        lambda made: np.moveaxis(made, 3, 1),
        lambda made: np.moveaxis(made, 3, 1).astype(np.float64) / 255,
        lambda made: torch.from_numpy(made).permute(0, 3, 1, 2) / 255,
        lambda made: (torch.from_numpy(made).permute(0, 3, 1, 2) / 255).half(),
    ],
)
def test_batches(convert):
    made = np.stack([array(seed) for seed in range(3)])
    images = open_images(convert(made))
    assert len(images) == 3
    assert list(images.labels) == [None] * 3
    for seed in range(3):
        difference = images.load(seed, SIZE).astype(int) - pixels_of(array(seed))
        assert np.abs(difference).max() <= (1 if getattr(convert(made), "dtype", None) == torch.float16 else 0)


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([as_float(array(1)) * 4 - 2], r"values from -.* to .*; expected floats in \[0, 1\]"),
        ([as_float(array(1)) * 255], r"expected floats in \[0, 1\]"),
        ([torch.full((3, 4, 4), torch.nan)], "values from nan"),
        ([array(1).astype(np.int64)], "expected uint8"),
        ([np.zeros((5, 30, 40), np.uint8)], "of 1, 3 or 4 channels"),
        ([np.zeros((0, 40, 3), np.uint8)], r"uint8 \[0, 40, 3\]"),
        ([np.zeros(7, np.uint8)], r"uint8 \[7\]"),
    ],
)
def test_arrays_that_are_no_images(items, message):
    images = open_images(items)
    with pytest.raises(InputError, match=message):
        images.load(0, SIZE)


class Stream(IterableDataset):
    def __iter__(self):
        yield array(1)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ([], "the list is empty"),
        (np.zeros((0, 3, 4, 4)), "the ndarray is empty"),
        (np.zeros((3, 4, 4)), r"the array is \[3, 4, 4\]; expected a batch"),
        (torch.zeros(3, 4), r"the array is \[3, 4\]; expected a batch"),
        ((number for number in range(3)), "cannot be read from a generator"),
        (7, "cannot be read from a int"),
        (None, "cannot be read from a NoneType"),
        ({array(1).tobytes()}, "cannot be read from a set"),
        ({"train": 1, "test": 2}, "a dict of train, test is not a row of images"),
        (Image.new("RGB", (3, 3)), "a single Image is not a row"),
        (b"abc", "a single bytes is not a row"),
        ([1, 2, 3], "0 of the list of 3 images is a int; expected"),
        ([{"text": "a", "score": 1}], "is a dictionary of text, score; expected"),
        ([None], "is a NoneType"),
        (Stream(), "cannot be read from a Stream"),
    ],
)
def test_objects_that_are_no_source(source, message):
    with pytest.raises(InputError, match=message):
        open_images(source)


class Photos(Dataset):
    """Like torchvision's: lists its classes, and makes a photo when it is asked for."""

    classes = NAMES

    def __init__(self, count, *, listed=True, first=0):
        self.made, self.first, self.count = [], first, count
        if listed:
            self.targets = torch.arange(count) % 3

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        self.made.append(index)
        if not 0 <= index < self.count:
            raise IndexError
        return as_float(array(self.first + int(index))), index % 3


def test_torch_dataset_lists_its_classes():
    photos = Photos(300)
    images = open_images(photos)
    assert images.labels == [NAMES[number % 3] for number in range(300)]
    assert len(photos.made) <= 32
    np.testing.assert_array_equal(images.load(100, SIZE), pixels_of(array(100)))
    before = len(photos.made)
    images.content(100)
    assert len(photos.made) == before  # known since it was loaded


def test_torch_dataset_that_lists_none():
    images = open_images(Photos(5, listed=False))
    assert images.labels[4] == "dog"
    assert images.labels[-1] == "dog"
    assert images.labels[1:3] == ["dog", "owl"]
    assert list(images.labels) == [NAMES[number % 3] for number in range(5)]


@pytest.mark.parametrize("listed", [True, False])
def test_wrapped_torch_datasets(listed):
    subset = Subset(Photos(9, listed=listed), [8, 3, 1])
    images = open_images(ConcatDataset([subset, Photos(2, listed=listed, first=20)]))
    assert list(images.labels) == ["owl", "cat", "dog", "cat", "dog"]
    for index, seed in enumerate([8, 3, 1, 20, 21]):
        np.testing.assert_array_equal(images.load(index, SIZE), pixels_of(array(seed)))


def test_datasets_are_told_apart():
    same = [open_images(Photos(40)).digest for _ in range(2)]
    assert same[0] == same[1]
    others = [Photos(41), Photos(40, first=1), Photos(40, listed=False), [array(1)] * 40, np.stack([array(1)] * 40)]
    digests = {same[0], *(open_images(other).digest for other in others)}
    assert len(digests) == 6


class ClassLabel:
    names = NAMES


class Columns:
    """Like a Dataset of Hugging Face."""

    features = {"image": object(), "label": ClassLabel()}  # noqa: RUF012

    def __len__(self):
        return 4

    def __getitem__(self, key):
        if key == "label":
            return [0, 2, 1, -1]
        return {"image": Image.fromarray(array(key)), "label": [0, 2, 1, -1][key]}


def test_hugging_face_dataset():
    images = open_images(Columns())
    assert images.labels == ["cat", "owl", "dog", None]
    np.testing.assert_array_equal(images.load(2, SIZE), pixels_of(array(2)))


def test_a_dataset_need_not_bear_threads():
    class Alone(Photos):
        inside = False

        def __getitem__(self, index):
            assert not self.inside
            self.inside = True
            time.sleep(0.002)
            item = super().__getitem__(index)
            self.inside = False
            return item

    images = open_images(Alone(40))
    with ThreadPoolExecutor(8) as pool:
        loaded = list(pool.map(lambda number: images.load(number, SIZE), range(40)))
    for seed in range(40):
        np.testing.assert_array_equal(loaded[seed], pixels_of(array(seed)))


def test_pictures_that_are_read_when_needed(tmp_path):
    """Pillow's pictures have their file open: two threads would read it at once."""
    for seed in range(8):
        (tmp_path / f"{seed}.png").write_bytes(encoded(seed, "PNG"))
    opened = [Image.open(tmp_path / f"{seed}.png") for seed in range(8)]
    images = open_images([opened[number % 8] for number in range(64)])
    with ThreadPoolExecutor(8) as pool:
        loaded = list(pool.map(lambda number: images.load(number, SIZE), range(64)))
    for number in range(64):
        np.testing.assert_array_equal(loaded[number], pixels_of(array(number % 8)))


def test_errors_of_a_dataset_are_told():
    class Torn(Photos):
        def __getitem__(self, index):
            if index == 1:
                raise KeyError("no such row")
            return super().__getitem__(index)

    images = open_images(Torn(3))
    with pytest.raises(InputError, match=r"1 of the Torn of 3 images cannot be read: KeyError: 'no such row'"):
        images.load(1, SIZE)
    np.testing.assert_array_equal(images.load(2, SIZE), pixels_of(array(2)))
    broken = open_images([encoded(1), Image.open(io.BytesIO(encoded(1)[:-200]))])
    with pytest.raises(InputError, match="cannot be read: OSError: image file is truncated"):
        broken.load(1, SIZE)


def test_objects_travel():
    images = open_images([(array(seed), NAMES[seed]) for seed in range(3)])
    copy = pickle.loads(pickle.dumps(images))
    assert list(copy.labels) == NAMES
    np.testing.assert_array_equal(copy.load(1, SIZE), images.load(1, SIZE))
    assert open_images(images) is images


@pytest.mark.parametrize(("size", "channels", "message"), [((0, 5), 3, "size is"), (SIZE, 2, "1 or 3 channels")])
def test_settings_that_do_not_fit(size, channels, message):
    for images in (open_images([array(1)]), open_images([encoded(1)])):
        with pytest.raises(InputError, match=message):
            images.load(0, size, channels)


# ---- real photos


def test_real_tars(data):
    images = open_images(data / "images" / "tiny_imagenet_100_val.tar")
    assert len(images) == 5000
    assert len(set(images.labels)) == 100
    assert images.remarks == []
    with tarfile.open(data / "images" / "tiny_imagenet_100_val.tar") as tar:
        for index in range(0, 5000, 500):
            file = tar.extractfile(images.keys[index])
            assert file is not None
            content = file.read()
            assert images.content(index) == hashlib.sha256(content).hexdigest()
            np.testing.assert_array_equal(images.load(index, (96, 96)), expected(content, (96, 96)))
    images = open_images(data / "images" / "imagenet_1000.tar")
    assert len(set(images.labels)) == 1000
    assert images.labels[0] == "n01440764"
