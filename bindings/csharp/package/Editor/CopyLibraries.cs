// Puts the libraries that Unity does not take for plugins, because their names end with a number, beside libkeel.so in a
// player that was built.
using System.IO;
using UnityEditor;
using UnityEditor.Build;
using UnityEditor.Build.Reporting;

namespace Keel.Editor
{
    sealed class CopyLibraries : IPostprocessBuildWithReport
    {
        const string Plugins = "Packages/com.keel.runtime/Plugins/x86_64";

        public int callbackOrder
        {
            get { return 0; }
        }

        public void OnPostprocessBuild(BuildReport report)
        {
            if (report.summary.platform != BuildTarget.StandaloneLinux64) return;
            string built = Path.GetDirectoryName(report.summary.outputPath);
            foreach (string keel in Directory.GetFiles(built, "libkeel.so", SearchOption.AllDirectories))
            {
                foreach (string library in Directory.GetFiles(Path.GetFullPath(Plugins)))
                {
                    string name = Path.GetFileName(library);
                    if (name.Contains(".so.") && !name.EndsWith(".meta"))
                        File.Copy(library, Path.Combine(Path.GetDirectoryName(keel), name), true);
                }
            }
        }
    }
}
