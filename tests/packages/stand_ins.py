"""Broken trees and stand-ins for what is too large or too rare to have in a test: libraries that do not fit, tiny wheels."""

import hashlib
import os
import subprocess
import zipfile

OTHER_ABI = """
#include <stddef.h>
unsigned keel_abi_version(void) { return 99u << 16 | 1; }
const char *keel_version(void) { return "99.0.0"; }
int keel_build_info(char *to, size_t size, size_t *needed, void *error) { (void)to, (void)size, (void)needed, (void)error; return 0; }
int keel_runtime_create(void) { return -1; }
int keel_runtime_devices(void) { return -1; }
"""


def share(tree, copy):
    """The tree again, its files shared: files may be removed or replaced there, not written to."""
    subprocess.run(["cp", "-al", tree, copy], check=True)
    return copy


def compile_library(source, file, *options):
    file.unlink(missing_ok=True)
    subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", str(file), *map(str, options)], input=source, text=True,
                   check=True)


def speak_another_abi(tree):
    library = tree / "lib" / "libkeel.so.0.1.0"
    library.unlink()
    compile_library(OTHER_ABI, library)


def need_a_newer_system(tree):
    """A libkeel that needs a version of the C library which the one at hand lacks."""
    library, system = tree / "lib" / "libkeel.so.0.1.0", tree / "lib" / "libsystem.so"
    library.unlink()
    script = tree / "lib" / "versions"
    script.write_text("GLIBC_2.99 { global: newer; };\n")
    compile_library("int newer(void) { return 1; }", system, f"-Wl,--version-script={script}")
    compile_library("int newer(void); int keel(void) { return newer(); }", library, f"-L{system.parent}", "-lsystem",
                    "-Wl,-rpath,$ORIGIN")
    script.write_text("GLIBC_2.34 { global: newer; };\n")
    compile_library("int newer(void) { return 1; }", system, f"-Wl,--version-script={script}")


def wheel(directory, project, version, files):
    """A wheel that pip takes for one of this Linux's; its line in a list of requirements."""
    name = f"{project.replace('-', '_')}-{version}"
    file = directory / f"{name}-py3-none-manylinux_2_17_x86_64.whl"
    with zipfile.ZipFile(file, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
        archive.writestr(f"{name}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {project}\nVersion: {version}\n")
        archive.writestr(f"{name}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: false\n"
                                                    "Tag: py3-none-manylinux_2_17_x86_64\n")
        archive.writestr(f"{name}.dist-info/licenses/LICENSE", f"the licence of {project}\n")
        archive.writestr(f"{name}.dist-info/RECORD", "")
    return f"{project}=={version} --hash=sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}\n"


def tree_to_fetch_into(tree, copy, wheels):
    """A tree like that of the cuda archive, whose list names two small wheels in a directory."""
    share(tree, copy)
    subprocess.run(["rm", "-r", str(copy / "lib" / "keel")], check=True)
    wheels.mkdir()
    lines = [wheel(wheels, "torch", "2.11.0", {"torch/lib/libtorch_cuda.so": "a library", "torch/__init__.py": "",
                                               "torch/lib/libtorch_python.so": "not this one"}),
             wheel(wheels, "nvidia-cuda-runtime", "13.0.96", {"nvidia/cu13/lib/libcudart.so.13": "a library",
                                                              "nvidia/cu13/include/cuda.h": "not this one"})]
    for name, text in (("cuda.txt", "# stand-ins\n-r cpu.txt\n" + lines[1]), ("cpu.txt", lines[0])):
        file = copy / "share" / "keel" / "torch" / name
        file.unlink()
        file.write_text(text)
    return dict(os.environ, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(wheels))
