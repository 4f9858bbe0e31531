// A column of a batch, copied.
using System;

namespace Keel
{
    /// <summary>A copy of a column of a batch: all values one after the other, and where each row begins.</summary>
    /// <typeparam name="T">What the values are.</typeparam>
    public sealed class Column<T>
    {
        readonly int[] offsets;

        internal Column(T[] values, int[] offsets)
        {
            Values = values;
            this.offsets = offsets;
        }

        /// <summary>The values of all rows.</summary>
        public T[] Values { get; }

        /// <summary>How many rows there are.</summary>
        public int Rows
        {
            get { return offsets.Length - 1; }
        }

        /// <summary>The values of one row, a view into <see cref="Values"/>.</summary>
        /// <param name="row">Which, from 0.</param>
        public ArraySegment<T> this[int row]
        {
            get { return new ArraySegment<T>(Values, offsets[row], offsets[row + 1] - offsets[row]); }
        }
    }
}
