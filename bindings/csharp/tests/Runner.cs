// Runs every method marked [Test], so that one binary runs on each runtime with no framework of tests beside it.
using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Linq;
using System.Reflection;
using System.Threading.Tasks;

[AttributeUsage(AttributeTargets.Method)]
sealed class TestAttribute : Attribute
{
}

static class Runner
{
    static int Main(string[] names)
    {
        int passed = 0, failed = 0;
        foreach (MethodInfo test in Tests().Where(test => names.Length == 0 || names.Any(Name(test).Contains)))
        {
            Stopwatch watch = Stopwatch.StartNew();
            try
            {
                Task task = test.Invoke(null, null) as Task;
                if (task != null) task.GetAwaiter().GetResult();
                ++passed;
                Console.WriteLine($"[       OK ] {Name(test)} ({watch.ElapsedMilliseconds} ms)");
            }
            catch (Exception thrown)
            {
                Exception exception = thrown is TargetInvocationException ? thrown.InnerException : thrown;
                ++failed;
                Console.WriteLine($"[  FAILED  ] {Name(test)}\n{exception}");
            }
        }
        Console.WriteLine($"{passed} passed, {failed} failed");
        return failed == 0 && passed > 0 ? 0 : 1;
    }

    static IEnumerable<MethodInfo> Tests()
    {
        return from type in typeof(Runner).Assembly.GetTypes()
               orderby type.Name
               from method in type.GetMethods(BindingFlags.Static | BindingFlags.NonPublic | BindingFlags.Public)
               where method.GetCustomAttribute<TestAttribute>() != null
               select method;
    }

    static string Name(MethodInfo test)
    {
        return $"{test.DeclaringType.Name}.{test.Name}";
    }
}
