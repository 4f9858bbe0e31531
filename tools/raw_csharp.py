"""The raw layer of the C# binding, from abi.json: Raw.cs, the functions, structs and constants under their names of C,
and Enums.cs, the constants as the enums of the layer above. Called by tools/bindings."""

from xml.sax.saxutils import escape

SCALARS = {"int32_t": "int", "uint32_t": "uint", "int64_t": "long", "uint64_t": "ulong", "uint8_t": "byte", "char": "byte",
           "float": "float", "double": "double", "size_t": "UIntPtr", "void": "void"}
KEYWORDS = {"base", "checked", "event", "fixed", "in", "is", "lock", "object", "operator", "out", "params", "ref", "string"}

# The constants of one prefix are one enum; those of no prefix here stay numbers in Raw.
ENUMS = {"TYPE": ("ColumnType", "What the values of a column are."), "BATCH": ("BatchKind", "What the rows of a batch are."),
         "FINISH": ("FinishReason", "Why a response ended, in the column finish_reason."),
         "SPLIT": ("Split", "What rows are for, in the column split."), "ROLE": ("Role", "What a model is to a session."),
         "JOB": ("JobState", "Where a job stands."), "EPISODE": ("Episode", "What became of a slot's episode."),
         "ACT": ("ActFlags", "How an actor acts; they may be joined."),
         "ENCODE": ("EncodeFlags", "How text becomes tokens; they may be joined."),
         "DECODE": ("DecodeFlags", "How tokens become text; they may be joined.")}
STATES = ("KEEL_OK", "KEEL_PENDING", "KEEL_NEED_DATA", "KEEL_EMPTY", "KEEL_FULL")
STATUS = ("Status", "What a function of keel's returned: 0 is success, above 0 a state that is no error, below 0 an error.")

HEAD = """// Written by tools/bindings from keel.h; not to be edited.
"""
RAW = """// {what}
using System;
using System.Runtime.InteropServices;
using System.Security;

namespace Keel
{{
    /// <summary>The functions of keel.h as they are in C, for what the classes above do not offer: pointers and numbers,
    /// no checks, no exceptions.</summary>
    [SuppressUnmanagedCodeSecurity]
    public static unsafe class Raw
    {{
        const string Library = "keel";

{body}
    }}
}}
"""


def raw(abi):
    """Raw.cs."""
    types = Types(abi)
    parts = [constant(one) for one in abi["constants"]]
    parts += [structure(one, types) for one in abi["structs"]]
    parts += [callback(one, types) for one in abi["callbacks"]]
    parts += [function(one, types) for one in abi["functions"]]
    body = "\n\n".join(parts).replace("\n", "\n        ").replace("\n        \n", "\n\n")
    return HEAD + RAW.format(what="The C ABI, blittable types only: nothing is marshalled.", body="        " + body)


def enums(abi):
    """Enums.cs."""
    parts = [enum(STATUS, [one for one in abi["constants"] if one["name"] in STATES or one["name"].startswith("KEEL_E_")])]
    for prefix, described in ENUMS.items():
        found = [one for one in abi["constants"] if one["name"].startswith(f"KEEL_{prefix}_")]
        parts.append(enum(described, found, flags="joined" in described[1]))
    body = "\n\n".join(parts).replace("\n", "\n    ").replace("\n    \n", "\n\n")
    return HEAD + f"// The constants of keel.h; keel may add to them.\nusing System;\n\nnamespace Keel\n{{\n    {body}\n}}\n"


class Types:
    """How a type of C is written in C#."""

    def __init__(self, abi):
        self.named = {**SCALARS, **{one["name"]: "ulong" for one in abi["handles"]},
                      **{one["name"]: SCALARS[one["type"]] for one in abi["types"]},
                      **{one["name"]: one["name"] for one in abi["structs"]},
                      **{one["name"]: "IntPtr" for one in abi["callbacks"]}}

    def __call__(self, kind):
        words = kind.replace("const", " ").replace("*", " * ").split()
        pointers = words.count("*")
        name, = [word for word in words if word != "*"]
        if pointers and name not in self.named:  # only declared in C, never looked into
            return "void" + "*" * pointers
        return self.named[name] + "*" * pointers


def text(paragraphs):
    return escape(" ".join(paragraphs))


def summary(paragraphs):
    return f"/// <summary>{text(paragraphs)}</summary>"


def word(name):
    return "@" + name if name in KEYWORDS else name


def constant(one):
    return f"{summary(one['doc'])}\npublic const int {one['name']} = {one['value']};"


def structure(one, types):
    lines = []
    for member in one["members"]:
        kind, name = types(member["type"]), word(member["name"])
        lines.append(summary([member["doc"]]))
        lines.append(f"public fixed {kind} {name}[{member['count']}];" if member["count"] > 1 else f"public {kind} {name};")
    body = "\n    ".join(lines)
    return f"{summary(one['doc'])}\n[StructLayout(LayoutKind.Sequential)]\npublic struct {one['name']}\n{{\n    {body}\n}}"


def listed(parameters, types):
    return ", ".join(f"{types(one['type'])} {word(one['name'])}" for one in parameters)


def callback(one, types):
    return (f"{summary(one['doc'])}\n[UnmanagedFunctionPointer(CallingConvention.Cdecl)]\n"
            f"public delegate {types(one['returns'])} {one['name']}({listed(one['parameters'], types)});")


def function(one, types):
    lines = [summary(one["doc"])]
    lines += [f'/// <param name="{name["name"]}">{text([name["doc"] or "How many."])}</param>' for name in one["parameters"]]
    if one["returns"] != "void":
        lines.append("/// <returns>A status.</returns>" if one["fallible"] else "/// <returns>What the summary says.</returns>")
    lines.append(f"/// <remarks>{text(['Threads:', one['threads'] + '.', 'Status:', one['status'] + '.', 'Since', one['since'] + '.'])}</remarks>")
    lines.append("[DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]")
    lines.append(f"public static extern {types(one['returns'])} {one['name']}({listed(one['parameters'], types)});")
    return "\n".join(lines)


def enum(described, constants, flags=False):
    (name, doc), lines = described, []
    if flags:
        lines += ["/// <summary>None of them.</summary>", "None = 0,"]
    for one in constants:
        kept = 2 if one["name"].startswith("KEEL_E_") else 1 if name == "Status" else 2
        member = "".join(part.capitalize() for part in one["name"].split("_")[kept:])
        lines += [summary(one["doc"]), f"{member} = Raw.{one['name']},"]
    body = "\n    ".join(lines)
    return f"{summary([doc])}\n" + ("[Flags]\n" if flags else "") + f"public enum {name}\n{{\n    {body}\n}}"
