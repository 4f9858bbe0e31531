"""What an installed keel consists of at run time: libkeel.so and the libraries of its own that it needs."""

import subprocess
from pathlib import Path

import build


def needed(prefix):
    """(name, file) of libkeel.so and of all that it needs under the prefix, as the loader finds them."""
    keel = prefix.resolve() / "lib/libkeel.so"
    yield keel.name, keel
    listed = subprocess.run(["ldd", keel], capture_output=True, text=True, check=True).stdout
    for line in listed.splitlines():
        name, arrow, place = (line.split() + ["", ""])[:3]
        if arrow == "=>" and not Path(place).is_file():
            raise build.Failed(f"{keel} needs {name}, which is not to be found")
        if arrow == "=>" and Path(place).is_relative_to(prefix.resolve()):
            yield name, Path(place)
