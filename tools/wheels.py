#!/usr/bin/env python3
"""Brings libtorch with CUDA into the keel tree that this file was installed with: what `keel-doctor --fetch` runs. How it
takes wheels is what tools/setup does too; installed, it needs nothing beside it but the lists.

The wheels that cuda.txt beside this file pins, with their hashes, are downloaded by pip; of them the shared libraries and
the licences go to lib/keel, where libkeel looks for libtorch. An interrupted run goes on with the first wheel that is not
whole, and the tree changes only when all of them are there.
"""

import importlib.util
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
GIGABYTES_NEEDED = 8.0
# A wheel's platform tag must be named exactly: pip does not take an older one for a newer one.
PLATFORMS = [f"manylinux_2_{minor}_x86_64" for minor in (5, 12, 17, 18, 25, 27, 28)] + [
    "manylinux1_x86_64", "manylinux2010_x86_64", "manylinux2014_x86_64"]
LIBRARIES = re.compile(r"torch/lib/(?!libtorch_python)[^/]*\.so[^/]*|nvidia/[^/]+/lib/[^/]*\.so[^/]*")
LICENCES = re.compile(r"[^/]*\.dist-info/(licenses/.*|LICEN[CS]E.*|NOTICE.*|License.*)")
PLACES = ("torch", "nvidia", "licenses")


class Missing(Exception):
    """What a person has to do first."""


def say(text):
    print(f"fetch: {text}", flush=True)


def requirements_of(file):
    """The lines that name a wheel, those of files it includes too."""
    for line in file.read_text().splitlines():
        if line.startswith("-r "):
            yield from requirements_of(file.parent / line[3:].strip())
        elif line and not line.startswith("#"):
            yield line


def download(python, requirements, directory, say):
    """One wheel at a time, since pip saves what it downloaded when all of a call is there; it takes no saved one again."""
    command = [python, "-m", "pip", "download", "--require-hashes", "--no-deps", "--only-binary=:all:", "--no-cache-dir",
               "--disable-pip-version-check", "--python-version", "3.11", "--implementation", "cp", "--abi", "cp311",
               "--abi", "none", "--dest", str(directory)]
    for tag in PLATFORMS:
        command += ["--platform", tag]
    one = directory.parent / "requirement.txt"
    for line in requirements_of(requirements):
        say(f"downloading {line.split()[0]}")
        one.write_text(line + "\n")
        if subprocess.run(command + ["--requirement", str(one)]).returncode != 0:
            raise Missing("the download failed; run it again (each wheel that was finished is kept)")


def unpack(wheel, wanted, destination):
    """The files of a wheel whose names the pattern matches."""
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            if wanted.fullmatch(member.filename) and not member.is_dir():
                archive.extract(member, destination)


def fetch(place):
    partial = place / "partial"
    wheels, fresh = partial / "wheels", partial / "unpacked"
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        wheels.mkdir(parents=True, exist_ok=True)
        fresh.mkdir()
    except OSError as error:
        raise Missing(f"cannot write to {place}: {error}") from error
    free = shutil.disk_usage(place).free / 1e9
    if free < GIGABYTES_NEEDED:
        raise Missing(f"{place} has {free:.1f} GB free, {GIGABYTES_NEEDED:.0f} GB are needed")
    if importlib.util.find_spec("pip") is None:
        raise Missing(f"{sys.executable} has no pip\n  apt-get install python3-pip (Debian, Ubuntu), or dnf install "
                      "python3-pip (Fedora, RHEL)")
    download(sys.executable, HERE / "cuda.txt", wheels, say)
    for wheel in sorted(wheels.glob("*.whl")):
        say(f"unpacking {wheel.name}")
        unpack(wheel, LIBRARIES, fresh)
        unpack(wheel, LICENCES, fresh / "licenses")
    for name in PLACES:
        shutil.rmtree(place / name, ignore_errors=True)
        if (fresh / name).exists():
            (fresh / name).rename(place / name)
    shutil.rmtree(partial)


def main():
    if len(sys.argv) != 2:
        sys.exit("wheels.py LIBRARIES: the directory in which libkeel lies; keel-doctor --fetch gives it")
    libraries = Path(sys.argv[1]).resolve()
    link = libraries / "torch"
    try:
        if (link.exists() or link.is_symlink()) and link.resolve() != libraries / "keel" / "torch":
            raise Missing(f"{link} is another libtorch; remove it to have one fetched")
        fetch(libraries / "keel")
        if not link.is_symlink():
            link.symlink_to("keel/torch")
        say("done; keel-doctor says what is found now")
    except Missing as problem:
        sys.exit(f"fetch: {problem}")
    except KeyboardInterrupt:
        sys.exit("fetch: interrupted; run it again to go on")


if __name__ == "__main__":
    main()
