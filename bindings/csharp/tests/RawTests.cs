// The raw layer: everything that crosses is blittable, so that nothing is marshalled and no runtime guesses a size.
using System;
using System.Collections.Generic;
using System.Linq;
using System.Reflection;
using System.Runtime.InteropServices;
using Keel;

static unsafe class RawTests
{
    const BindingFlags All = BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly;

    static readonly Type[] Numbers =
    {
        typeof(byte), typeof(int), typeof(uint), typeof(long), typeof(ulong), typeof(float), typeof(double), typeof(IntPtr),
        typeof(UIntPtr), typeof(void),
    };

    static class Planted
    {
        [DllImport("keel")]
        internal static extern bool Truth();

        [DllImport("keel")]
        internal static extern void Sentence(string text);

        [DllImport("keel")]
        internal static extern void Numbers(float[] numbers, ref int count);

        [DllImport("keel")]
        internal static extern void Safe(SafeHandle handle);

        internal struct Mixed
        {
            internal readonly bool Flag;

            internal Mixed(bool flag)
            {
                Flag = flag;
            }
        }

        [DllImport("keel")]
        internal static extern void Structure(Mixed* mixed);
    }

    [Test]
    static void OnlyBlittableTypesCross()
    {
        Type[] types = typeof(Runtime).Assembly.GetTypes();
        MethodInfo[] imports = types.SelectMany(Imports).ToArray();
        Expect.True(imports.Length >= 70, $"at least 70 functions, found {imports.Length}");
        Expect.True(imports.All(method => method.DeclaringType == typeof(Raw)), "no import outside of Raw");
        IEnumerable<MethodInfo> callbacks = typeof(Raw).GetNestedTypes().Where(type => typeof(Delegate).IsAssignableFrom(type))
            .Select(type => type.GetMethod("Invoke"));
        Expect.Same(new string[0], imports.Concat(callbacks).SelectMany(Faults));
    }

    [Test]
    static void OtherTypesAreFound()
    {
        foreach (MethodInfo planted in Imports(typeof(Planted)))
            Expect.True(Faults(planted).Any(), $"a fault in {planted.Name}");
    }

    [Test]
    static void StructsHaveTheirSizesOfC()
    {
        Expect.Equal(1024, sizeof(Raw.keel_error));
        Expect.Equal(48, sizeof(Raw.keel_report));
    }

    [Test]
    static void EveryNativeNameIsThere()
    {
        foreach (MethodInfo import in Imports(typeof(Raw))) Marshal.Prelink(import);
        Expect.Throws<EntryPointNotFoundException>(() => Marshal.Prelink(Imports(typeof(Planted)).First()));
    }

    static IEnumerable<MethodInfo> Imports(Type type)
    {
        return type.GetMethods(All).Where(method => (method.Attributes & MethodAttributes.PinvokeImpl) != 0);
    }

    static IEnumerable<string> Faults(MethodInfo method)
    {
        return method.GetParameters().Select(one => one.ParameterType).Concat(new[] { method.ReturnType })
            .Where(type => !Blittable(type)).Select(type => $"{method.Name}: {type}");
    }

    static bool Blittable(Type type)
    {
        if (type.IsPointer) return Blittable(type.GetElementType());
        return Numbers.Contains(type) || type.IsValueType && !type.IsPrimitive && !type.IsEnum &&
            type.GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic).All(field => Blittable(field.FieldType));
    }
}
