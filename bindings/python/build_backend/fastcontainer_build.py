"""Builds the wheel (PEP 517, PEP 660) by CMake, with nothing but Python's own library.

FASTCONTAINER_BUILD: a build tree to take what is needed from, instead of building it.
"""
import base64
import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SOURCE = os.path.dirname(os.path.dirname(HERE))


def _version():
    with open(os.path.join(SOURCE, "CMakeLists.txt"), encoding="utf-8") as file:
        return re.search(r"project\(fastcontainer VERSION (\S+)", file.read()).group(1)


def _tag():
    python = f"cp{sys.version_info.major}{sys.version_info.minor}"
    return f"{python}-{python}-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"


def _metadata():
    with open(os.path.join(HERE, "README.md"), encoding="utf-8") as file:
        text = file.read()
    head = ["Metadata-Version: 2.1", "Name: fastcontainer", f"Version: {_version()}",
            "Summary: Request-level container scheduling for hosting proxies", "Requires-Python: >=3.9",
            "Provides-Extra: policy", 'Requires-Dist: numpy; extra == "policy"', "Description-Content-Type: text/markdown"]
    return "\n".join(head) + "\n\n" + text


def _build(folder):
    """A build tree with the package in it."""
    given = os.environ.get("FASTCONTAINER_BUILD")
    if given:
        return given
    options = [f"-D{name}=OFF" for name in ("FASTCONTAINER_BUILD_EXAMPLES", "FASTCONTAINER_BUILD_BENCHMARKS",
                                            "FASTCONTAINER_BUILD_TESTS", "FASTCONTAINER_INSTALL")]
    if shutil.which("ninja"):
        options += ["-G", "Ninja"]
    subprocess.run(["cmake", "-S", SOURCE, "-B", folder, "-DCMAKE_BUILD_TYPE=Release", "-DFASTCONTAINER_PYTHON=ON",
                    f"-DPython_EXECUTABLE={sys.executable}", *options], check=True)
    subprocess.run(["cmake", "--build", folder, "--parallel", str(os.cpu_count() or 1)], check=True)
    return folder


def _record(name, data):
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(data)}\n"


def _write(wheel, files):
    info = f"fastcontainer-{_version()}.dist-info"
    files = {**files, f"{info}/METADATA": _metadata().encode(), f"{info}/top_level.txt": b"fastcontainer\n",
             f"{info}/WHEEL": ("Wheel-Version: 1.0\nGenerator: fastcontainer_build\nRoot-Is-Purelib: false\n"
                               f"Tag: {_tag()}\n").encode()}
    with open(os.path.join(SOURCE, "LICENSE"), "rb") as file:
        files[f"{info}/LICENSE"] = file.read()
    record = "".join(_record(name, data) for name, data in files.items()) + f"{info}/RECORD,,\n"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {**files, f"{info}/RECORD": record.encode()}.items():
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o755 if ".so" in name else 0o644) << 16
            archive.writestr(entry, data)


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    name = f"fastcontainer-{_version()}-{_tag()}.whl"
    with tempfile.TemporaryDirectory() as scratch:
        stage = os.path.join(scratch, "stage")
        subprocess.run(["cmake", "--install", _build(os.path.join(scratch, "build")), "--component", "python",
                        "--prefix", stage, "--strip"], check=True, stdout=sys.stderr)
        files = {}
        for folder, _, names in os.walk(stage):
            for one in sorted(names):
                path = os.path.join(folder, one)
                with open(path, "rb") as file:
                    files[os.path.relpath(path, stage)] = file.read()
        if not any("_core." in one for one in files):
            raise RuntimeError("the Python package was not built: see CMake's warnings")
        _write(os.path.join(wheel_directory, name), files)
    return name


def build_sdist(sdist_directory, config_settings=None):
    raise NotImplementedError("the package is built from the repository: pip install bindings/python")
