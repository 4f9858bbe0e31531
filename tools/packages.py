"""How tools/dist fills and closes a package: the part of libtorch that libkeel needs, archives, the Debian package."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LICENCE = re.compile(r"(LICEN[CS]E|NOTICE|License)[^/]*")
# Which package of Debian first brought the newest symbols of libstdc++.
GCC_OF_GLIBCXX = {21: "5", 22: "6", 23: "7", 24: "7", 25: "8", 26: "9", 27: "9", 28: "9", 29: "11", 30: "12", 31: "13",
                  32: "13", 33: "14", 34: "15"}


def output(*command):
    """In English, whatever the user speaks."""
    english = dict(os.environ, LC_ALL="C")
    return subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE, text=True, env=english).stdout


def commit_time():
    """The time that stands in all archives: that of the commit, or 0 where there is none."""
    answer = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True)
    return answer.stdout.strip() or "0"


# --- libtorch --------------------------------------------------------------------------------------------------------


def torch_directory():
    return (ROOT / "target" / "libtorch" / "torch").resolve()


def needed_by(library):
    return re.findall(r"\(NEEDED\).*\[(.*)\]", output("readelf", "-d", library))


def libraries_for(library, site):
    """What of libtorch and the CUDA libraries beside it a library needs to load, without what the system brings."""
    directories = [site / "torch" / "lib", *sorted(site.glob("nvidia/*/lib"))]
    found, names = set(), needed_by(library)
    while names:
        name = names.pop()
        file = next((directory / name for directory in directories if (directory / name).exists()), None)
        if file and file not in found:
            found.add(file)
            names += needed_by(file)
    return sorted(found)


def place(file, destination):
    destination.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(file, destination)
    except OSError:
        shutil.copy2(file, destination)


def add_libtorch(libraries):
    """Fills keel/ in the directory of libkeel: torch/lib, nvidia/*/lib, as they lie to each other, and licenses."""
    site = torch_directory().parent
    for file in libraries_for(libraries / "libkeel.so", site):
        place(file.resolve(), libraries / "keel" / file.relative_to(site))
    notices = [file for directory in sorted(site.glob("*.dist-info")) for file in directory.rglob("*")
               if file.is_file() and LICENCE.fullmatch(file.name)]
    if not any("torch-" in str(file) for file in notices):
        sys.exit(f"dist: {site} has no licences of torch; only a wheel's libtorch can be passed on (tools/setup --cpu)")
    for file in notices:
        place(file, libraries / "keel" / "licenses" / file.relative_to(site))


# --- archives --------------------------------------------------------------------------------------------------------


def zstd(level):
    return ["zstd", "--quiet", f"-{level}", "-T0"]


GZIP = ["gzip", "--no-name"]


def archive(tree, file, compress):
    """The same tree gives the same bytes: sorted names, one time, one owner, two modes."""
    tar = ["tar", "--create", "--format=gnu", "--sort=name", f"--mtime=@{os.environ['SOURCE_DATE_EPOCH']}", "--owner=0",
           "--group=0", "--numeric-owner", "--mode=u=rwX,go=rX", "--hard-dereference", "-C", str(tree.parent), tree.name]
    with open(file, "wb") as packed, subprocess.Popen(tar, stdout=subprocess.PIPE) as packing:
        subprocess.run(compress, stdin=packing.stdout, stdout=packed, check=True)
    if packing.returncode != 0:
        sys.exit(f"dist: tar ended with {packing.returncode}")


# --- the Debian package ----------------------------------------------------------------------------------------------


def newest(files, symbol):
    """The newest version of this family of symbols that any of the files needs, as numbers."""
    found = re.findall(rf"Name: {symbol}_([0-9.]+)", "".join(output("readelf", "--wide", "-V", file) for file in files))
    return max(tuple(int(part) for part in version.split(".")) for version in found)


def depends(tree):
    files = [file for file in tree.rglob("*") if file.is_file() and not file.is_symlink()
             and (".so" in file.name or file.parent.name == "bin")]
    glibc = ".".join(map(str, newest(files, "GLIBC")))
    gcc = GCC_OF_GLIBCXX[newest(files, "GLIBCXX")[2]]
    return f"libc6 (>= {glibc}), libstdc++6 (>= {gcc}), libgcc-s1 (>= {'.'.join(map(str, newest(files, 'GCC')))})"


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def link_in(root, name, target):
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).symlink_to(target)


def entries(root, prefix):
    """Where the system's tools look: the loader, compilers, pkg-config, CMake, the shell."""
    write(root / "etc/ld.so.conf.d/keel.conf", f"{prefix}/lib\n")
    link_in(root, "usr/include/keel", "../lib/keel/include/keel")
    link_in(root, "usr/bin/keel-doctor", "../lib/keel/bin/keel-doctor")
    link_in(root, "usr/share/keel", "../lib/keel/share/keel")
    package = (root / prefix[1:] / "lib/pkgconfig/keel.pc").read_text()
    write(root / "usr/lib/x86_64-linux-gnu/pkgconfig/keel.pc", re.sub("^prefix=.*", f"prefix={prefix}", package))
    for name in ("keelConfig.cmake", "keelConfigVersion.cmake"):
        write(root / "usr/lib/x86_64-linux-gnu/cmake/keel" / name, f'include("{prefix}/lib/cmake/keel/{name}")\n')


def documents(root, prefix):
    """Debian's own: licences in one file, the rest beside it."""
    place = root / "usr/share/doc/keel"
    place.parent.mkdir(parents=True, exist_ok=True)
    (root / prefix[1:] / "share/doc/keel").rename(place)
    link_in(root, f"{prefix[1:]}/share/doc/keel", "../../../../share/doc/keel")
    own = "\n".join((place / name).read_text() for name in ("LICENSE-MIT", "LICENSE-APACHE"))
    write(place / "copyright", f"keel is licensed under MIT or Apache-2.0, as you choose. What it contains or brings has "
                               f"licences of its own: THIRD-PARTY.txt here,\nand {prefix}/lib/keel/licenses.\n\n{own}")


def debian(tree, version, out, level):
    """The tree in /usr/lib/keel, whose library the loader finds by its directory, so that it finds libtorch beside itself."""
    root, prefix = out / "trees" / "debian", "/usr/lib/keel"
    shutil.copytree(tree, root / prefix[1:], symlinks=True)
    entries(root, prefix)
    documents(root, prefix)
    files = sorted(file for file in root.rglob("*") if file.is_file() and not file.is_symlink())
    size = sum(file.stat().st_size for file in files) // 1024
    sums = [f"{hashlib.md5(file.read_bytes()).hexdigest()}  {file.relative_to(root)}\n" for file in files]
    write(root / "DEBIAN/control",
          f"Package: keel\nVersion: {version}\nArchitecture: amd64\nSection: libdevel\nPriority: optional\n"
          f"Maintainer: keel developers <developers@keel.invalid>\nInstalled-Size: {size}\nDepends: {depends(tree)}\n"
          "Description: embeddable alignment-training runtime\n"
          " One shared library and one C header with which a program trains language models and control policies in its own\n"
          " process. Brings libtorch for the CPU.\n")
    write(root / "DEBIAN/md5sums", "".join(sums))
    write(root / "DEBIAN/conffiles", "/etc/ld.so.conf.d/keel.conf\n")
    write(root / "DEBIAN/triggers", "activate-noawait ldconfig\n")
    subprocess.run(["chmod", "--recursive", "u=rwX,go=rX", str(root)], check=True)
    epoch = int(os.environ["SOURCE_DATE_EPOCH"])
    for file in [root, *root.rglob("*")]:
        os.utime(file, (epoch, epoch), follow_symlinks=False)
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Zzstd", f"-z{level}", "--build", str(root),
                    str(out / f"keel_{version}_amd64.deb")], check=True, stdout=subprocess.DEVNULL)
