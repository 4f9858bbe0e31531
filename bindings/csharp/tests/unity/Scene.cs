// Plays the sample as Unity does: enabled, fixed updates, scripts reloaded (a new object that has what was serialized), and
// in the end disabled. Then the post-build step on a player. Arguments: the package's folder, an empty folder.
using System;
using System.IO;
using System.Linq;
using System.Reflection;
using Keel;
using UnityEditor;
using UnityEditor.Build;
using UnityEditor.Build.Reporting;
using UnityEngine;

static class Scene
{
    const BindingFlags Hidden = BindingFlags.Instance | BindingFlags.NonPublic;

    static int passed, failed;

    static int Main(string[] arguments)
    {
        string package = arguments[0], player = arguments[1];
        string plugins = Path.Combine(package, "Plugins/x86_64"), loaded = Library.BuildInfo();
        Check(loaded.Contains($"\"library\":\"{plugins}/libkeel.so\"") && loaded.Contains($"\"libtorch_directory\":\"{plugins}\""),
            $"keel and libtorch are those of the package, found {loaded}");
        float first = Play(null, 100, out byte[] learned), second = 0;
        for (int reload = 0; reload < 4; ++reload) second = Play(learned, 100, out learned);
        Check(second > 1.5f * first, $"walkers learn across reloads: {first} goals, then {second}");
        Check(Debug.Lines >= 5, $"updates end: {Debug.Lines}");
        Check(Library.LiveHandles == 0, $"no handle stays: {Library.LiveHandles}");
        Check(UnityEngine.Object.Alive == 0, $"no cube stays: {UnityEngine.Object.Alive}");
        CheckPlayer(package, player);
        Console.WriteLine($"unity: {passed} passed, {failed} failed");
        return failed;
    }

    // The rewards of so many fixed updates, between the messages that Unity sends.
    static float Play(byte[] serialized, int updates, out byte[] learned)
    {
        Walkers walkers = new Walkers();
        FieldInfo state = typeof(Walkers).GetField("learned", Hidden);
        if (serialized != null) state.SetValue(walkers, serialized);
        float[] rewards = (float[])typeof(Walkers).GetField("rewards", Hidden).GetValue(walkers);
        Send(walkers, "OnEnable");
        float sum = 0;
        for (int update = 0; update < updates; ++update)
        {
            Send(walkers, "FixedUpdate");
            sum += rewards.Sum();
        }
        Send(walkers, "OnDisable");
        learned = (byte[])state.GetValue(walkers);
        return sum;
    }

    static void Send(Walkers walkers, string message)
    {
        typeof(Walkers).GetMethod(message, Hidden).Invoke(walkers, null);
    }

    static void CheckPlayer(string package, string player)
    {
        string plugins = Path.Combine(player, "Game_Data/Plugins");
        Directory.CreateDirectory(plugins);
        File.WriteAllText(Path.Combine(plugins, "libkeel.so"), "");
        Type step = typeof(Scene).Assembly.GetType("Keel.Editor.CopyLibraries");
        BuildReport report = new BuildReport();
        report.summary.platform = BuildTarget.StandaloneLinux64;
        report.summary.outputPath = Path.Combine(player, "Game.x86_64");
        Environment.CurrentDirectory = Path.GetDirectoryName(package);
        ((IPostprocessBuildWithReport)Activator.CreateInstance(step, true)).OnPostprocessBuild(report);
        string[] copied = Directory.GetFiles(plugins).Select(Path.GetFileName).Where(name => name != "libkeel.so").ToArray();
        string[] expected = Directory.GetFiles(Path.Combine(package, "Plugins/x86_64")).Select(Path.GetFileName)
            .Where(name => !name.EndsWith(".so") && !name.EndsWith(".meta")).ToArray();
        Check(expected.Length > 0 && expected.OrderBy(name => name).SequenceEqual(copied.OrderBy(name => name)),
            $"a player has [{string.Join(", ", expected)}], found [{string.Join(", ", copied)}]");
    }

    static void Check(bool held, string what)
    {
        if (held) ++passed;
        else ++failed;
        if (!held) Console.WriteLine($"[  FAILED  ] {what}");
    }
}
