// Jobs: three drivers, one result, and a task for those who await.
using System;
using System.IO;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using Keel;

static class JobTests
{
    static ulong Learned(Action<Job> drive)
    {
        using (Session session = World.Learner())
        {
            for (int update = 0; update < 3; ++update)
                using (Job job = session.Update()) drive(job);
            return session.StateHash();
        }
    }

    [Test]
    static void AllDriversLearnTheSame()
    {
        ulong ran = Learned(job => Expect.Equal(JobState.Done, job.Run().State));
        Expect.Equal(ran, Learned(job =>
        {
            while (job.Pump(0).State == JobState.Pending)
            {
            }
        }));
        Expect.Equal(ran, Learned(job =>
        {
            while (job.Pump(TimeSpan.FromMilliseconds(2)).State == JobState.Pending)
            {
            }
        }));
        Expect.Equal(ran, Learned(job =>
        {
            job.Start();
            while (job.Poll().State == JobState.Pending) Thread.Sleep(1);
        }));
        Expect.Equal(ran, Learned(job =>
        {
            job.Start();
            Report report = job.WaitAsync().GetAwaiter().GetResult();
            Expect.True(report.State == JobState.Done && report.Progress == 1 && report.OptimizerSteps == 1, "a whole update");
        }));
        Expect.Equal(ran, Learned(job =>
        {
            job.Start();
            while (job.Wait(TimeSpan.FromSeconds(1)).State == JobState.Pending)
            {
            }
        }));
    }

    [Test]
    static void ReportsHowFarItIs()
    {
        using (Session session = World.Learner())
        using (Job job = session.Update())
        {
            Report report = job.Pump(-5);
            Expect.Equal(JobState.Pending, report.State);
            Expect.Equal(1UL, report.Slices);
            Expect.True(report.Progress > 0 && report.Progress < 1, "a part of the progress");
            Expect.True(report.LongestSlice <= report.Elapsed, "a slice within the call");
            Expect.True(job.Stage().Length > 0, "a stage");
            Expect.Equal(null, job.Error());
            Expect.Fails(Status.InUse, () => session.Update());
        }
    }

    [Test]
    static void CancellingThrowsWhatCancellingThrows()
    {
        using (Session session = World.Learner())
        {
            Job job = session.Update();
            job.Pump(0);
            job.Cancel();
            Expect.Throws<OperationCanceledException>(() => job.Run());
            Expect.Throws<OperationCanceledException>(() => job.Pump(0));
            Expect.True(job.Error() is OperationCanceledException, "the error of a job that was cancelled");
            Expect.Equal(JobState.Done, session.Step().State);
        }
    }

    [Test]
    static async Task ATokenCancelsTheJobAndItsTask()
    {
        using (Session session = World.Learner(256))
        using (CancellationTokenSource source = new CancellationTokenSource())
        using (Job job = session.Update())
        {
            source.Cancel();
            job.Start();
            Task<Report> task = job.WaitAsync(source.Token);
            try
            {
                await task;
                Expect.Equal(JobState.Done, job.Poll().State);
            }
            catch (OperationCanceledException cancelled)
            {
                Expect.Equal(source.Token, cancelled.CancellationToken);
                Expect.True(task.IsCanceled, "a task that was cancelled");
            }
        }
        using (CancellationTokenSource source = new CancellationTokenSource())
        using (Session session = World.Learner())
        using (Job job = session.Update())
        {
            session.Pause();
            job.Start();
            Task<Report> task = job.WaitAsync(source.Token);
            await Task.Delay(20);
            Expect.True(!task.IsCompleted, "a task that waits");
            source.Cancel();
            try
            {
                await task;
                throw new Exception("nothing was thrown");
            }
            catch (OperationCanceledException)
            {
            }
        }
    }

    [Test]
    static void AFailedJobFailsAgainAndAgain()
    {
        using (Job job = Model.Load(World.Runtime, "/nowhere/größe"))
        {
            for (int i = 0; i < 3; ++i) Expect.Contains("größe", Expect.Fails(Status.File, () => job.Run()).Message);
            Expect.Equal(Status.File, ((KeelException)job.Error()).Status);
            Expect.Fails(Status.File, () => job.Model());
            Expect.Throws<KeelException>(() => job.WaitAsync().GetAwaiter().GetResult());
        }
    }

    [Test]
    static void ModelsAreSavedAndLoaded()
    {
        string folder = World.Folder();
        try
        {
            using (Model model = new Model(World.Runtime, World.Llama))
            {
                model.Save(Path.Combine(folder, "größe"));
                Expect.Fails(Status.State, () => model.Encode("no tokenizer"));
                Expect.Fails(Status.State, () => model.Decode(new[] { 1, 2 }));
                Expect.Throws<ArgumentNullException>(() => model.Decode(null));
            }
            using (Job job = Model.Load(World.Runtime, Path.Combine(folder, "größe")))
            {
                Expect.Fails(Status.State, () => job.Model());
                job.Run();
                using (Model model = job.Model()) Expect.Contains("llama", model.Info());
                Expect.Fails(Status.State, () => job.Batch());
            }
        }
        finally
        {
            Directory.Delete(folder, true);
        }
    }

    [Test]
    static void DisposedIsDisposed()
    {
        Session session = World.Learner();
        Job job = session.Update();
        job.Dispose();
        foreach (Action use in new Action[]
        {
            () => job.Run(), () => job.Start(), () => job.Pump(0), () => job.Poll(), () => job.Wait(TimeSpan.Zero),
            () => job.Stage(), () => job.Cancel(), () => job.Error(), () => job.Batch(), () => job.Model(),
            () => job.WaitAsync().GetAwaiter().GetResult(),
        })
            Expect.Contains("Keel.Job", Expect.Throws<ObjectDisposedException>(use).Message);
        session.Dispose();
        Expect.Throws<ObjectDisposedException>(() => session.Update());
        Expect.Throws<ObjectDisposedException>(() => session.Metrics());
        Expect.Throws<ObjectDisposedException>(() => new Actor(session));
        Expect.Throws<ArgumentNullException>(() => new Actor(null));
    }
}
