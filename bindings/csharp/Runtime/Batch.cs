// Rows of named columns, set from arrays and read as copies.
using System;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Keel
{
    /// <summary>Rows of named columns: what is pushed into a session, and what a generation makes. The columns are those of
    /// <see cref="Library.ConfigSchema"/> "columns".</summary>
    public sealed unsafe class Batch : Handle
    {
        // A view that is being copied must not end: whoever reads holds the handle and keeps setters out.
        readonly object views = new object();

        /// <summary>Makes an empty batch.</summary>
        /// <param name="runtime">Whose.</param>
        /// <param name="kind">What its rows are.</param>
        /// <param name="rows">How many each column will have.</param>
        public Batch(Runtime runtime, BatchKind kind, long rows)
        {
            if (rows < 0) throw new ArgumentOutOfRangeException(nameof(rows));
            ulong id;
            Raw.keel_error* error = Failure.Here;
            Failure.Check(Raw.keel_batch_create(IdOf(runtime, nameof(runtime)), (int)kind, (ulong)rows, &id, error), error);
            GC.KeepAlive(runtime);
            Become(id);
        }

        internal Batch(ulong id, bool owned = true) : base(owned)
        {
            Become(id);
        }

        /// <summary>How many rows it has.</summary>
        public long Rows
        {
            get
            {
                ulong rows;
                if (Raw.keel_batch_rows(Id, &rows, null) < 0) rows = AskAgain();
                GC.KeepAlive(this);
                return (long)rows;
            }
        }

        /// <summary>Sets a column, or replaces it whole.</summary>
        /// <param name="column">Its name.</param>
        /// <param name="values">The values of all rows.</param>
        /// <param name="offsets">For a ragged column rows + 1 of them: row r is values[offsets[r]] up to
        /// values[offsets[r + 1]]. Null where each row has as many values.</param>
        public void Set(string column, int[] values, ulong[] offsets = null)
        {
            if (values == null) throw new ArgumentNullException(nameof(values));
            fixed (int* at = values) Set(column, ColumnType.I32, at, values.Length, offsets);
        }

        /// <summary>Sets a column of 64-bit integers, or replaces it whole.</summary>
        /// <param name="column">Its name.</param>
        /// <param name="values">The values of all rows.</param>
        /// <param name="offsets">For a ragged column rows + 1 of them, or null.</param>
        public void Set(string column, long[] values, ulong[] offsets = null)
        {
            if (values == null) throw new ArgumentNullException(nameof(values));
            fixed (long* at = values) Set(column, ColumnType.I64, at, values.Length, offsets);
        }

        /// <summary>Sets a column of unsigned 64-bit integers, or replaces it whole.</summary>
        /// <param name="column">Its name.</param>
        /// <param name="values">The values of all rows.</param>
        /// <param name="offsets">For a ragged column rows + 1 of them, or null.</param>
        public void Set(string column, ulong[] values, ulong[] offsets = null)
        {
            if (values == null) throw new ArgumentNullException(nameof(values));
            fixed (ulong* at = values) Set(column, ColumnType.U64, at, values.Length, offsets);
        }

        /// <summary>Sets a column of numbers, or replaces it whole.</summary>
        /// <param name="column">Its name.</param>
        /// <param name="values">The values of all rows.</param>
        /// <param name="offsets">For a ragged column rows + 1 of them, or null.</param>
        public void Set(string column, float[] values, ulong[] offsets = null)
        {
            if (values == null) throw new ArgumentNullException(nameof(values));
            fixed (float* at = values) Set(column, ColumnType.F32, at, values.Length, offsets);
        }

        /// <summary>Sets a column of bytes, or replaces it whole.</summary>
        /// <param name="column">Its name.</param>
        /// <param name="values">The values of all rows.</param>
        /// <param name="offsets">For a ragged column rows + 1 of them, or null.</param>
        public void Set(string column, byte[] values, ulong[] offsets = null)
        {
            if (values == null) throw new ArgumentNullException(nameof(values));
            fixed (byte* at = values) Set(column, ColumnType.U8, at, values.Length, offsets);
        }

        /// <summary>Sets a column of text, one a row.</summary>
        /// <param name="column">Its name.</param>
        /// <param name="rows">The texts.</param>
        public void Set(string column, string[] rows)
        {
            if (rows == null) throw new ArgumentNullException(nameof(rows));
            ulong[] offsets = Offsets(rows, Text.Length);
            byte[] values = new byte[checked((int)offsets[rows.Length])];
            for (int row = 0; row < rows.Length; ++row) Text.Write(rows[row], values, (int)offsets[row]);
            fixed (byte* at = values) Set(column, ColumnType.Utf8, at, values.Length, offsets);
        }

        /// <summary>Sets a ragged column of tokens or other integers.</summary>
        /// <param name="column">Its name.</param>
        /// <param name="rows">The values of each row.</param>
        public void Set(string column, int[][] rows)
        {
            Set(column, Flat(rows), Offsets(rows, row => row.Length));
        }

        /// <summary>Sets a ragged column of numbers.</summary>
        /// <param name="column">Its name.</param>
        /// <param name="rows">The values of each row.</param>
        public void Set(string column, float[][] rows)
        {
            Set(column, Flat(rows), Offsets(rows, row => row.Length));
        }

        /// <summary>Sets a column from memory of the caller's.</summary>
        /// <param name="column">Its name.</param>
        /// <param name="type">What the values are.</param>
        /// <param name="values">Where they are; copied.</param>
        /// <param name="count">How many; of text, bytes.</param>
        /// <param name="offsets">For a ragged column rows + 1 of them, or null.</param>
        public void Set(string column, ColumnType type, void* values, long count, ulong[] offsets = null)
        {
            if (offsets != null && offsets.LongLength != Rows + 1)
                throw new ArgumentException($"expected rows + 1 = {Rows + 1} offsets, got {offsets.Length}", nameof(offsets));
            byte[] name = Text.Bytes(column, nameof(column));
            Raw.keel_error* error = Failure.Here;
            lock (views)
            {
                fixed (byte* bytes = name)
                fixed (ulong* starts = offsets)
                {
                    Failure.Check(Raw.keel_batch_set(Id, bytes, (UIntPtr)(uint)name.Length, (int)type, values, (UIntPtr)(ulong)count,
                        starts, error), error);
                }
            }
            GC.KeepAlive(this);
        }

        /// <summary>A copy of a column.</summary>
        /// <typeparam name="T">int, long, ulong, float or byte: what it holds.</typeparam>
        /// <param name="column">Its name.</param>
        /// <returns>Its values and where each row begins.</returns>
        /// <exception cref="ArgumentException">T is another type.</exception>
        public Column<T> Get<T>(string column) where T : struct
        {
            return Read(column, TypeOf(typeof(T)), (values, count, offsets) => new Column<T>(Copy<T>(values, count), offsets));
        }

        /// <summary>A copy of a column of tokens.</summary>
        /// <param name="column">Its name.</param>
        /// <returns>Its tokens and where each row begins.</returns>
        public Column<int> Tokens(string column)
        {
            return Get<int>(column);
        }

        /// <summary>A copy of a column of numbers.</summary>
        /// <param name="column">Its name.</param>
        /// <returns>Its numbers and where each row begins.</returns>
        public Column<float> Numbers(string column)
        {
            return Get<float>(column);
        }

        /// <summary>The texts of a column, one a row; tokens of a generation are decoded, without special tokens.</summary>
        /// <param name="column">Its name.</param>
        /// <returns>The texts.</returns>
        public string[] Texts(string column)
        {
            return Read(column, ColumnType.Utf8, (values, count, offsets) =>
            {
                string[] texts = new string[offsets.Length - 1];
                for (int row = 0; row < texts.Length; ++row)
                    texts[row] = Text.Of((byte*)values + offsets[row], offsets[row + 1] - offsets[row]);
                return texts;
            });
        }

        /// <summary>Ends the handle.</summary>
        /// <returns>True.</returns>
        protected override bool ReleaseHandle()
        {
            Raw.keel_batch_destroy(Ending);
            return true;
        }

        // Ends one that was only borrowed, when nobody reads it; also for who waits to.
        internal void Return()
        {
            lock (views) SetHandleAsInvalid();
        }

        delegate TResult Reader<TResult>(void* values, int count, int[] offsets);

        TResult Read<TResult>(string column, ColumnType wanted, Reader<TResult> reader)
        {
            byte[] name = Text.Bytes(column, nameof(column));
            bool held = false;
            try
            {
                DangerousAddRef(ref held);
                lock (views)
                {
                    int type = (int)wanted, rows = checked((int)Rows);
                    void* values;
                    UIntPtr count;
                    ulong* starts;
                    Raw.keel_error* error = Failure.Here;
                    fixed (byte* bytes = name)
                    {
                        Failure.Check(Raw.keel_batch_get(Ending, bytes, (UIntPtr)(uint)name.Length, &type, &values, &count, &starts,
                            error), error);
                    }
                    int all = checked((int)count);
                    int[] offsets = new int[rows + 1];
                    for (int row = 0; row <= rows; ++row)
                        offsets[row] = starts != null ? (int)starts[row] : rows > 0 ? all / rows * row : 0;
                    return reader(values, all, offsets);
                }
            }
            finally
            {
                if (held) DangerousRelease();
            }
        }

        // A look at a handle takes a sentence only when it fails: asking changes nothing, so it may be asked twice.
        [MethodImpl(MethodImplOptions.NoInlining)]
        ulong AskAgain()
        {
            ulong rows;
            Raw.keel_error* error = Failure.Here;
            Failure.Check(Raw.keel_batch_rows(Id, &rows, error), error);
            return rows;
        }

        static T[] Copy<T>(void* values, int count) where T : struct
        {
            T[] copy = new T[count];
            GCHandle pinned = GCHandle.Alloc(copy, GCHandleType.Pinned);
            try
            {
                long bytes = Buffer.ByteLength(copy);
                Buffer.MemoryCopy(values, (void*)pinned.AddrOfPinnedObject(), bytes, bytes);
            }
            finally
            {
                pinned.Free();
            }
            return copy;
        }

        static ColumnType TypeOf(Type type)
        {
            if (type == typeof(int)) return ColumnType.I32;
            if (type == typeof(long)) return ColumnType.I64;
            if (type == typeof(ulong)) return ColumnType.U64;
            if (type == typeof(float)) return ColumnType.F32;
            if (type == typeof(byte)) return ColumnType.U8;
            throw new ArgumentException($"a column holds int, long, ulong, float or byte, not {type}");
        }

        static ulong[] Offsets<T>(T[] rows, Func<T, int> length) where T : class
        {
            if (rows == null) throw new ArgumentNullException(nameof(rows));
            ulong[] offsets = new ulong[rows.Length + 1];
            for (int row = 0; row < rows.Length; ++row)
            {
                if (rows[row] == null) throw new ArgumentNullException(nameof(rows), $"row {row} is null");
                offsets[row + 1] = offsets[row] + (ulong)length(rows[row]);
            }
            return offsets;
        }

        static T[] Flat<T>(T[][] rows)
        {
            T[] values = new T[checked((int)Offsets(rows, row => row.Length)[rows.Length])];
            int at = 0;
            foreach (T[] row in rows)
            {
                row.CopyTo(values, at);
                at += row.Length;
            }
            return values;
        }
    }
}
