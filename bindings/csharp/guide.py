"""The snippets of docs/guide/csharp.md as one program: each in a method of its own, with the names that the text takes for
granted as fields."""

import re
from pathlib import Path

HEAD = """using System;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using Keel;

static class Guide
{
    static Runtime runtime;
    static Session session;
    static Actor actor;
    static uint[] slots;
    static int[] actions;
    static float[] observations, rewards;
    static Episode[] status;

    static bool GameRuns() { return false; }
    static void DrawFrame() { }
    static void Simulate(int[] actions, float[] observations, float[] rewards, Episode[] status) { }
    static float Score(string text) { return text.Length; }
    static void Main()
    {
        runtime = new Runtime();
        session = null;
        actor = null;
        slots = null;
        actions = null;
        observations = rewards = null;
        status = null;
        Snippet0();
        Snippet1();
        Console.WriteLine("guide: SNIPPETS snippets");
    }
"""


def program(guide):
    """Its text in C#."""
    snippets = re.findall(r"^```csharp\n(.*?)^```$", Path(guide).read_text(encoding="utf-8"), flags=re.S | re.M)
    parts = [HEAD.replace("SNIPPETS", str(len(snippets)))]
    for number, snippet in enumerate(snippets):
        returned = "async Task" if "await " in snippet else "void"
        parts.append(f"    static {returned} Snippet{number}()\n    {{\n{snippet}    }}\n")
    return "\n".join(parts) + "}\n"
