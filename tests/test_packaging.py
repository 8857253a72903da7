"""The package as people get it: what the wheel holds and how large it is, what importing loads, which Pythons."""

import ast
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

pytest.importorskip("hatchling")

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
MOST_BYTES = 20_000_000


@pytest.fixture(scope="session")
def built(tmp_path_factory) -> Path:
    """A folder with the wheel and the sdist."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return folder


@pytest.fixture(scope="session")
def wheel(built) -> Path:
    return next(built.glob("*.whl"))


@pytest.mark.slow
def test_both_are_small(built):
    sizes = {path.suffix: path.stat().st_size for path in built.iterdir()}
    assert set(sizes) == {".whl", ".gz"}
    assert all(size < MOST_BYTES for size in sizes.values()), sizes


@pytest.mark.slow
def test_the_wheel_holds_what_is_needed_and_no_more(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0] for name in names if ".dist-info" not in name} == {"pellucid", "pellucid_command"}
    needed = {"py.typed", "embedded/tiny_inception.safetensors", "embedded/labels.tsv", "app/static/page.html"}
    assert {f"pellucid/{name}" for name in needed} <= set(names)
    sources = {str(path.relative_to(ROOT / "src")) for path in SOURCES}
    assert sources <= set(names)
    assert not [name for name in names if "__pycache__" in name or name.endswith((".map", ".ts", ".svelte"))]
    data = {
        str(path.relative_to(ROOT / "src")) for path in (ROOT / "src/pellucid/embedded").rglob("*") if path.is_file()
    }
    assert data <= set(names)


@pytest.mark.slow
def test_what_the_wheel_says_of_itself(wheel):
    archive = zipfile.ZipFile(wheel)
    said = message_from_bytes(archive.read(next(name for name in archive.namelist() if name.endswith("/METADATA"))))
    assert said["Requires-Python"] == ">=3.11"
    assert set(said.get_all("Provides-Extra", [])) == set(PROJECT["optional-dependencies"])
    scripts = archive.read(next(name for name in archive.namelist() if name.endswith("entry_points.txt"))).decode()
    assert "pellucid = pellucid_command:main" in scripts


@pytest.mark.slow
def test_the_sdist_can_make_the_wheel(built, wheel, tmp_path):
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        archive.extractall(tmp_path, filter="data")
    source = next(tmp_path.glob("pellucid-*"))
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "again")]
    subprocess.run(command, cwd=source, check=True, capture_output=True, text=True)
    again = next((tmp_path / "again").glob("*.whl"))
    names = [sorted(zipfile.ZipFile(path).namelist()) for path in (wheel, again)]
    assert names[0] == names[1]


@pytest.mark.slow
def test_the_wheel_explains_a_photo_in_a_fresh_environment(wheel, tmp_path):
    """Its own environment with nothing in it but the wheel; what Pellucid stands on comes from the one of the tests."""
    fresh = tmp_path / "fresh"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(fresh)], check=True)
    python = fresh / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--no-index", "--no-deps", str(wheel)], check=True)
    place = subprocess.run(
        [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    # Of that environment's own .pth files, such as the one of an editable install, none is read.
    Path(place, "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PELLUCID_", "PYTHON"))}
    environment |= {"PELLUCID_CACHE": str(tmp_path / "cache"), "PELLUCID_OFFLINE": "1"}
    where = subprocess.run(
        [str(python), "-c", "import pellucid; print(pellucid.__file__)"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env=environment,
    ).stdout
    assert where.startswith(str(fresh))
    command = [str(fresh / "bin" / "pellucid"), "explain", "--quick", "--layer", "mixed4d", "--out", "page.html"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    assert "espresso" in done.stdout
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert '<script type="application/json" id="bundle">{' in page


def loaded(code: str) -> set[str]:
    """Names of all modules that are loaded after some code."""
    code = f"import sys\n{code}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.fixture(scope="session")
def beyond_torch() -> set[str]:
    """What `import pellucid` loads that `import torch` does not."""
    return loaded("import pellucid") - loaded("import torch")


def test_importing_loads_few_packages(beyond_torch):
    roots = {name.partition(".")[0] for name in beyond_torch} - set(sys.stdlib_module_names)
    needed = {re.split(r"[><=\[]", line)[0] for line in PROJECT["dependencies"]}
    # Whether `import torch` has loaded NumPy already depends on its version.
    assert roots - {"pellucid", "numpy"} == {"filelock", "msgspec", "PIL", "platformdirs", "safetensors"}
    assert (roots - {"pellucid", "PIL"}) | {"pillow"} <= needed


def test_importing_loads_nothing_slow(beyond_torch):
    """Each of these takes a tenth of a second or more, and is imported where it is used."""
    slow = {"torch.fx.experimental", "torch._dynamo", "torch._inductor", "torch.onnx", "torch.export", "sympy"}
    slow |= {"rich", "click", "multiprocessing.pool", "asyncio", "http.server", "pellucid.serve", "pellucid.widget"}
    assert not {name for name in beyond_torch if any(name == one or name.startswith(f"{one}.") for one in slow)}


@pytest.mark.parametrize("version", [(3, 11), (3, 12), (3, 13)], ids=lambda version: ".".join(map(str, version)))
def test_sources_are_of_every_supported_python(version):
    gone = {
        "asynchat",
        "asyncore",
        "cgi",
        "cgitb",
        "crypt",
        "distutils",
        "imghdr",
        "imp",
        "pipes",
        "smtpd",
        "telnetlib",
    }
    for path in SOURCES:
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path), feature_version=version)
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            assert not gone & {name.partition(".")[0] for name in names}, path


def test_supported_pythons_are_what_is_promised():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert PROJECT["requires-python"] == ">=3.11"
    assert settings["tool"]["ruff"]["target-version"] == "py311"
    assert settings["tool"]["pyright"]["pythonVersion"] == "3.11"


def test_extras_are_documented():
    extras = set(PROJECT["optional-dependencies"]) - {"test", "docs"}
    for page in (ROOT / "README.md", ROOT / "docs" / "start" / "install.md"):
        text = page.read_text(encoding="utf-8")
        missing = {extra for extra in extras if not re.search(rf"\[(?:[\w,]*,)?{extra}(?:,[\w,]*)?\]", text)}
        assert not missing, f"{page.name} says nothing of {missing}"
    everything = next(iter(PROJECT["optional-dependencies"]["all"]))
    # `notebooks` is for those of the repository, which the package does not hold.
    assert set(re.findall(r"\w+", everything.partition("[")[2])) == extras - {"all", "notebooks"}


def test_the_extra_for_the_notebooks_brings_what_they_import():
    (parts, *others) = PROJECT["optional-dependencies"]["notebooks"]
    brought = {re.split(r"[><=\[]", line)[0] for line in [*PROJECT["dependencies"], *others]}
    for extra in re.findall(r"\w+", parts.partition("[")[2]):
        brought |= {re.split(r"[><=\[]", line)[0] for line in PROJECT["optional-dependencies"][extra]}
    for path in [*(ROOT / "notebooks").glob("*.py"), ROOT / "scripts" / "notebooks.py"]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            roots = {
                {"PIL": "pillow", "sklearn": "scikit-learn"}.get(name.partition(".")[0], name.partition(".")[0])
                for name in names
            }
            assert roots - sys.stdlib_module_names - {"pellucid", "charts", "pieces"} <= brought | {"nbformat"}, path


def test_extras_that_are_named_in_messages_exist():
    named: set[str] = set()
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        named |= set(re.findall(r"pellucid\[(\w+)\]", text))
        named |= set(re.findall(r'missing_extra\([^)]*,\s*"(\w+)"\)', text))
    assert named
    assert named - {"extra"} <= set(PROJECT["optional-dependencies"])
