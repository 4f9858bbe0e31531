"""Builds the C# binding: with mcs for Unity's older profile, .NET Framework and Mono, and with the .NET SDK of tools/dotnet,
where it can be had, as netstandard2.0 and netstandard2.1. What is built lies in target/csharp/net472 and so on.

Warnings are errors, and both compilers write Keel.xml, so that every public member has its doc.
"""

import re
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TARGET = ROOT / "target/csharp"
DOTNET = ROOT / "tools/dotnet"
NOT_HERE = 77
MCS = ["mcs", "-sdk:4.7.2-api", "-langversion:7.2", "-unsafe", "-optimize+", "-warnaserror+", "-warn:4", "-nologo"]
# What the NETStandard.Library.Ref of the SDK says of itself in its metadata: SHA-1, version 2.1.0.0.
ASSEMBLY_2_1, ASSEMBLY_2_0 = (bytes([4, 0x80, 0, 0, 2, 0, minor, 0, 0, 0, 0, 0]) for minor in (1, 0))


QUIET = ["-nologo", "-v", "quiet", "-clp:NoSummary;ErrorsOnly", "-c", "Release", "-nodeReuse:false", "-p:UseSharedCompilation=false"]


class Failed(Exception):
    """A command that must succeed did not."""


def cargo(key):
    """What Cargo.toml says of the package."""
    return re.search(rf'^{key} = "(.+)"$', (ROOT / "Cargo.toml").read_text(), re.M).group(1)


VERSION = cargo("version")


def run(*command, **options):
    command = [str(part) for part in command]
    if subprocess.run(command, **options).returncode != 0:
        raise Failed(" ".join(command))


def sources(folder=HERE / "Runtime"):
    return sorted(Path(folder).glob("*.cs"))


def mcs(output, files, *options):
    output.parent.mkdir(parents=True, exist_ok=True)
    kind = "library" if output.suffix == ".dll" else "exe"
    run(*MCS, f"-target:{kind}", f"-out:{output}", *options, *files)
    return output


def version_file():
    TARGET.mkdir(parents=True, exist_ok=True)
    file = TARGET / "Version.cs"
    file.write_text(f'[assembly: System.Reflection.AssemblyVersion("{VERSION}.0")]\n')
    return file


def net472(folder=HERE / "Runtime", output=TARGET / "net472"):
    """Keel.dll by mcs, of the sources in a folder."""
    return mcs(output / "Keel.dll", [*sources(folder), version_file()], f"-doc:{output / 'Keel.xml'}")


def has_dotnet():
    """Whether tools/dotnet runs programs; where it cannot it has said why."""
    return answers("--list-runtimes")


def has_sdk():
    """Whether tools/dotnet also builds them."""
    return answers("--version")


def answers(question):
    code = subprocess.run([DOTNET, question], stdout=subprocess.DEVNULL).returncode
    if code not in (0, NOT_HERE):
        raise Failed(f"{DOTNET} {question}")
    return code == 0


def netstandard21():
    """Keel.dll by the project file."""
    run(DOTNET, "build", HERE / "Keel.csproj", *QUIET, "-p:TargetFrameworks=netstandard2.1")
    output = TARGET / "netstandard2.1"
    shutil.rmtree(output, ignore_errors=True)
    shutil.copytree(TARGET / "bin/Release/netstandard2.1", output)
    return output / "Keel.dll"


def netstandard20():
    """Keel.dll by Roslyn against a reference that says it is netstandard 2.0; the SDK brings none, so it is the one of 2.1 under
    that name, and .NET Framework 4.6.1, which has hardly more than 2.0, holds what 2.1 has beyond it."""
    run(*[part.replace("4.7.2", "4.6.1") for part in MCS], "-target:library", f"-out:{TARGET / 'net461.dll'}", *sources())
    listed = subprocess.run([DOTNET, "--list-sdks"], capture_output=True, text=True, check=True).stdout
    version, place = re.match(r"(\S+) \[(.*)\]", listed).groups()
    given = (Path(place).parent / "packs/NETStandard.Library.Ref/2.1.0/ref/netstandard2.1/netstandard.dll").read_bytes()
    if given.count(ASSEMBLY_2_1) != 1:
        raise Failed("netstandard.dll of the SDK is not as it was")
    output = TARGET / "netstandard2.0"
    output.mkdir(parents=True, exist_ok=True)
    reference = TARGET / "obj/netstandard.dll"
    reference.parent.mkdir(exist_ok=True)
    reference.write_bytes(given.replace(ASSEMBLY_2_1, ASSEMBLY_2_0))
    run(DOTNET, Path(place) / version / "Roslyn/bincore/csc.dll", "-nologo", "-noconfig", "-nostdlib", "-langversion:7.3",
        "-unsafe", "-optimize", "-deterministic", "-warnaserror", "-target:library", f"-r:{reference}",
        f"-doc:{output / 'Keel.xml'}", f"-out:{output / 'Keel.dll'}", *sources(), version_file())
    return output / "Keel.dll"
