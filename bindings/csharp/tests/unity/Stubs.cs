// As much of Unity as the package's editor script and sample name, so that they compile and run without it.
using System;

namespace UnityEngine
{
    public class Object
    {
        public static int Alive;

        public static void Destroy(Object one)
        {
            --Alive;
        }
    }

    public class MonoBehaviour : Object
    {
    }

    public sealed class SerializeField : Attribute
    {
    }

    public sealed class HideInInspector : Attribute
    {
    }

    public struct Vector3
    {
        public Vector3(float x, float y, float z)
        {
        }
    }

    public sealed class Transform : Object
    {
        public Vector3 position { get; set; }
        public GameObject gameObject { get; internal set; }
    }

    public enum PrimitiveType
    {
        Cube,
    }

    public sealed class GameObject : Object
    {
        public Transform transform { get; private set; }

        public static GameObject CreatePrimitive(PrimitiveType type)
        {
            ++Alive;
            GameObject made = new GameObject { transform = new Transform() };
            made.transform.gameObject = made;
            return made;
        }
    }

    public static class Debug
    {
        public static int Lines;

        public static void Log(object line)
        {
            ++Lines;
        }
    }
}

namespace UnityEditor
{
    public enum BuildTarget
    {
        StandaloneLinux64 = 24,
        StandaloneWindows64 = 19,
    }
}

namespace UnityEditor.Build
{
    public interface IPostprocessBuildWithReport
    {
        int callbackOrder { get; }

        void OnPostprocessBuild(Reporting.BuildReport report);
    }
}

namespace UnityEditor.Build.Reporting
{
    public struct BuildSummary
    {
        public BuildTarget platform;
        public string outputPath;
    }

    public sealed class BuildReport
    {
        public BuildSummary summary;
    }
}
