// How far a job is.
using System;

namespace Keel
{
    /// <summary>How far a job is, as a driver of it or a look at it found.</summary>
    public unsafe struct Report
    {
        // What keel writes.
        internal Raw.keel_report Told;

        internal static Report Blank
        {
            get { return new Report { Told = { struct_size = (uint)sizeof(Raw.keel_report) } }; }
        }

        /// <summary>Pending, in need of data, done, cancelled or failed.</summary>
        public JobState State
        {
            get { return (JobState)Told.state; }
        }

        /// <summary>Slices that the job has run.</summary>
        public ulong Slices
        {
            get { return Told.slices; }
        }

        /// <summary>How long this call worked.</summary>
        public TimeSpan Elapsed
        {
            get { return Time(Told.elapsed_us); }
        }

        /// <summary>The longest slice of this call.</summary>
        public TimeSpan LongestSlice
        {
            get { return Time(Told.longest_slice_us); }
        }

        /// <summary>Optimiser steps that the job has applied.</summary>
        public ulong OptimizerSteps
        {
            get { return Told.optimizer_steps; }
        }

        /// <summary>Share of the job that is done, from 0 to 1.</summary>
        public float Progress
        {
            get { return Told.progress; }
        }

        static TimeSpan Time(ulong microseconds)
        {
            return TimeSpan.FromTicks((long)microseconds * 10);
        }

        // A time that has passed already is none: as an unsigned number it would be an age.
        internal static ulong Microseconds(TimeSpan time)
        {
            return Microseconds(time.Ticks / 10);
        }

        internal static ulong Microseconds(long time)
        {
            return time > 0 ? (ulong)time : 0;
        }
    }
}
