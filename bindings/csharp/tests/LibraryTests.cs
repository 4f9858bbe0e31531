// The loaded library and the runtime.
using System;
using System.Linq;
using Keel;

static class LibraryTests
{
    [Test]
    static void SaysWhatItIs()
    {
        Expect.Equal((uint)Raw.KEEL_ABI_VERSION, Library.AbiVersion);
        Expect.True(Library.Version.Split('.').Length == 3, "a version of three numbers");
        Expect.Contains("libkeel", Library.BuildInfo());
        Expect.Contains("grpo", Library.ConfigSchema("session"));
        Expect.Equal("KEEL_E_CONFIG", Library.NameOf(Status.Config));
        Expect.Throws<KeelException>(() => Library.ConfigSchema("nothing of the kind"));
        Expect.Throws<ArgumentNullException>(() => Library.ConfigSchema(null));
    }

    [Test]
    static void StatusesHaveTheNamesOfTheLibrary()
    {
        foreach (Status status in Enum.GetValues(typeof(Status)))
        {
            string name = Library.NameOf(status).Replace("KEEL_E_", "").Replace("KEEL_", "").Replace("_", "");
            Expect.Equal(name, status.ToString().ToUpperInvariant());
        }
    }

    [Test]
    static void RuntimeTellsDevicesMemoryAndEvents()
    {
        Expect.Contains("cpu", World.Runtime.Devices());
        Expect.Contains("resident_bytes", World.Runtime.Memory());
        using (Session session = World.Learner())
        {
            Expect.Equal<string>(null, World.Runtime.NextEvent(session));
            session.Step();
            Expect.Contains("{", World.Runtime.NextEvent(session));
            while (World.Runtime.NextEvent() != null)
            {
            }
        }
    }

    [Test]
    static void RefusesAWrongConfigurationInASentence()
    {
        KeelException thrown = Expect.Fails(Status.Config, () => new Runtime(@"{""nonsense"": 1}"));
        Expect.Contains("nonsense", thrown.Message);
        Expect.Fails(Status.Config, () => new Session(World.Runtime, @"{""algorithm"": {""type"": ""groß""}}"));
        Expect.Throws<ArgumentException>(() => new Runtime("{\"\ud800\": 1}"));
    }

    [Test]
    static void ARuntimeThatWasShutDownStartsNothing()
    {
        using (Runtime runtime = new Runtime())
        {
            runtime.Shutdown(TimeSpan.FromSeconds(10));
            using (Job job = Model.Load(runtime, "/nowhere")) Expect.Fails(Status.State, job.Start);
        }
    }
}
