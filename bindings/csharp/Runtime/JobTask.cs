// A job as a Task, for hosts that await.
using System;
using System.Threading;
using System.Threading.Tasks;

namespace Keel
{
    public sealed partial class Job
    {
        const int PollMilliseconds = 2;

        /// <summary>A task that ends with a started job: it looks every few milliseconds and holds no thread meanwhile.
        /// Where nobody drives the job it does not end.</summary>
        /// <param name="token">Cancels the job, not only the waiting: the task ends when the job has.</param>
        /// <returns>How far it was in the end.</returns>
        public async Task<Report> WaitAsync(CancellationToken token = default(CancellationToken))
        {
            while (true)
            {
                if (token.IsCancellationRequested) Cancel();
                Report report;
                try
                {
                    report = Poll();
                }
                catch (OperationCanceledException cancelled) when (token.IsCancellationRequested)
                {
                    throw new OperationCanceledException(cancelled.Message, token);
                }
                if (report.State != JobState.Pending) return report;
                await Task.Delay(PollMilliseconds).ConfigureAwait(false);
            }
        }
    }
}
