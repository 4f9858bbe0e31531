// What a test may say of what it saw.
using System;
using System.Collections.Generic;
using System.Linq;
using Keel;

static class Expect
{
    internal static void True(bool held, string what = "a condition")
    {
        if (!held) throw new Exception($"expected {what}");
    }

    internal static void Equal<T>(T expected, T found)
    {
        if (!EqualityComparer<T>.Default.Equals(expected, found)) throw new Exception($"expected {expected}, found {found}");
    }

    internal static void Same<T>(IEnumerable<T> expected, IEnumerable<T> found)
    {
        if (!expected.SequenceEqual(found))
            throw new Exception($"expected [{string.Join(", ", expected)}], found [{string.Join(", ", found)}]");
    }

    internal static void Contains(string part, string text)
    {
        if (!text.Contains(part)) throw new Exception($"expected \"{part}\" in \"{text}\"");
    }

    internal static T Throws<T>(Action action) where T : Exception
    {
        try
        {
            action();
        }
        catch (Exception thrown)
        {
            T expected = thrown as T;
            if (expected != null) return expected;
            throw new Exception($"expected {typeof(T).Name}, found {thrown}");
        }
        throw new Exception($"expected {typeof(T).Name}, nothing was thrown");
    }

    internal static KeelException Fails(Status status, Action action)
    {
        KeelException thrown = Throws<KeelException>(action);
        if (thrown.Status != status) throw new Exception($"expected {status}, found {thrown.Status}: {thrown.Message}");
        return thrown;
    }
}
