"""Generates the contract as Java and as C#, and looks for what a compiler would trip over.

Run by `examples/run`. It needs `protoc`; no compiler of either language does.
"""

import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import grpc_tools
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

PROTO = Path(__file__).parents[1] / "proto"
WELL_KNOWN = Path(grpc_tools.__file__).parent / "_proto"


def main() -> None:
    sources = sorted(path.relative_to(PROTO).as_posix() for path in PROTO.rglob("*.proto"))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        for name in ("java", "csharp"):
            (out / name).mkdir()
        outputs = [f"--java_out={out}/java", f"--csharp_out={out}/csharp", f"--descriptor_set_out={out}/all"]
        subprocess.run(["protoc", f"-I{PROTO}", f"-I{WELL_KNOWN}", *outputs, *sources], check=True)
        files = list(FileDescriptorSet.FromString((out / "all").read_bytes()).file)
        problems = [*java(files, out / "java"), *csharp(files, out / "csharp")]
    if problems or len(files) != len(sources):
        sys.exit("\n".join(problems) or "protoc left files out")
    print(f"{len(files)} files of the contract generate as Java and as C#, and no two names collide")


def declared(file: FileDescriptorProto) -> list[str]:
    """The names at the top of a file."""
    return [each.name for each in [*file.message_type, *file.enum_type]]


def java(files: list[FileDescriptorProto], out: Path):
    """One class for each message and enum, one for each file, and one that the plugin makes of each service."""
    classes, expected = [], set()
    for file in files:
        options = file.options
        if not (options.java_multiple_files and options.java_package and options.java_outer_classname):
            yield f"{file.name}: an option for Java is missing"
        folder = options.java_package.replace(".", "/")
        own = [options.java_outer_classname, *declared(file)]
        own += [f"{message.name}OrBuilder" for message in file.message_type]
        expected.update(f"{folder}/{name}.java" for name in own)
        classes += [f"{folder}/{name}" for name in own]
        classes += [f"{folder}/{service.name}Grpc" for service in file.service]
    made = {path.relative_to(out).as_posix() for path in out.rglob("*.java")}
    yield from (f"Java has no {name}" for name in sorted(expected - made))
    yield from (f"Java has {name} besides" for name in sorted(made - expected))
    yield from collisions("Java", classes)


def csharp(files: list[FileDescriptorProto], out: Path):
    """One file for each of ours, with its types, and what the plugin makes of each service."""
    types = []
    for file in files:
        if not file.options.csharp_namespace:
            yield f"{file.name}: the option for C# is missing"
        made = out / (pascal(Path(file.name).stem) + ".cs")
        if not made.exists():
            yield f"C# has no {made.name}"
            continue
        text = made.read_text()
        space = file.options.csharp_namespace
        if f"namespace {space} {{" not in text:
            yield f"{made.name} is in another namespace than {space}"
        found = re.findall(r"^  public (?:(?:sealed|static) partial class|enum) (\w+)", text, re.MULTILINE)
        yield from (f"{made.name} lacks {name}" for name in declared(file) if name not in found)
        types += [f"{space}.{name}" for name in [*found, *(service.name for service in file.service)]]
    yield from collisions("C#", types)


def collisions(language: str, names: list[str]):
    """Names that are the same, or the same where file names have no case."""
    counted = Counter(name.lower() for name in names)
    yield from (f"{language}: {name} is there {count} times" for name, count in counted.items() if count > 1)


def pascal(stem: str) -> str:
    return "".join(word.capitalize() for word in stem.split("_"))


main()
