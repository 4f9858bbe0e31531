// Written by tools/bindings from keel.h; not to be edited.
// The constants of keel.h; keel may add to them.
using System;

namespace Keel
{
    /// <summary>What a function of keel's returned: 0 is success, above 0 a state that is no error, below 0 an error.</summary>
    public enum Status
    {
        /// <summary>Done.</summary>
        Ok = Raw.KEEL_OK,
        /// <summary>The job has more to do.</summary>
        Pending = Raw.KEEL_PENDING,
        /// <summary>Rows, rewards or answers are missing; nothing was done.</summary>
        NeedData = Raw.KEEL_NEED_DATA,
        /// <summary>There is nothing to take.</summary>
        Empty = Raw.KEEL_EMPTY,
        /// <summary>A bounded queue is full: what came was counted (keel_session_metrics, refused) and nothing was done. The message says which and what helps.</summary>
        Full = Raw.KEEL_FULL,
        /// <summary>An argument has a value that the function does not take.</summary>
        InvalidArgument = Raw.KEEL_E_INVALID_ARGUMENT,
        /// <summary>A handle is 0, was destroyed, is of another type, or never came from this library.</summary>
        InvalidHandle = Raw.KEEL_E_INVALID_HANDLE,
        /// <summary>A pointer that must not be NULL is NULL.</summary>
        NullPointer = Raw.KEEL_E_NULL_POINTER,
        /// <summary>A text is not UTF-8, or a path contains a NUL.</summary>
        InvalidText = Raw.KEEL_E_INVALID_TEXT,
        /// <summary>The caller's buffer is too small; *needed says how large it must be; nothing was consumed.</summary>
        Capacity = Raw.KEEL_E_CAPACITY,
        /// <summary>Another thread is inside a call on the same object that admits one at a time; nothing was done.</summary>
        Concurrent = Raw.KEEL_E_CONCURRENT,
        /// <summary>The object is in use: an unfinished update, or a model that another session trains.</summary>
        InUse = Raw.KEEL_E_IN_USE,
        /// <summary>The object is not in the state that the call needs.</summary>
        State = Raw.KEEL_E_STATE,
        /// <summary>The header and the library do not fit.</summary>
        Version = Raw.KEEL_E_VERSION,
        /// <summary>The job was cancelled.</summary>
        Cancelled = Raw.KEEL_E_CANCELLED,
        /// <summary>The time given was not enough.</summary>
        Timeout = Raw.KEEL_E_TIMEOUT,
        /// <summary>keel does not do this (yet).</summary>
        Unsupported = Raw.KEEL_E_UNSUPPORTED,
        /// <summary>A configuration is not valid; the message begins with the JSON pointer of the value at fault.</summary>
        Config = Raw.KEEL_E_CONFIG,
        /// <summary>A number is NaN or infinite where it must be finite.</summary>
        NonFinite = Raw.KEEL_E_NON_FINITE,
        /// <summary>A length, shape or offset does not fit the others.</summary>
        Shape = Raw.KEEL_E_SHAPE,
        /// <summary>The device does not exist or failed.</summary>
        Device = Raw.KEEL_E_DEVICE,
        /// <summary>Memory ran out, on the host or on the device.</summary>
        OutOfMemory = Raw.KEEL_E_OUT_OF_MEMORY,
        /// <summary>A file or directory could not be read or written.</summary>
        File = Raw.KEEL_E_FILE,
        /// <summary>A file was read but is not what it should be.</summary>
        Format = Raw.KEEL_E_FORMAT,
        /// <summary>Rows are missing a column, or a column holds what it must not.</summary>
        Data = Raw.KEEL_E_DATA,
        /// <summary>libtorch or keel failed in a way that is a bug of keel's.</summary>
        Internal = Raw.KEEL_E_INTERNAL,
        /// <summary>keel panicked; the panic was contained, but it is a bug of keel's.</summary>
        Panic = Raw.KEEL_E_PANIC,
        /// <summary>A panic in mid-step left the session's weights in doubt; restore it.</summary>
        Poisoned = Raw.KEEL_E_POISONED,
        /// <summary>The host's callback threw or returned non-zero, or the script of its network threw.</summary>
        Callback = Raw.KEEL_E_CALLBACK,
    }

    /// <summary>What the values of a column are.</summary>
    public enum ColumnType
    {
        /// <summary>int32_t.</summary>
        I32 = Raw.KEEL_TYPE_I32,
        /// <summary>int64_t.</summary>
        I64 = Raw.KEEL_TYPE_I64,
        /// <summary>uint64_t.</summary>
        U64 = Raw.KEEL_TYPE_U64,
        /// <summary>float.</summary>
        F32 = Raw.KEEL_TYPE_F32,
        /// <summary>uint8_t.</summary>
        U8 = Raw.KEEL_TYPE_U8,
        /// <summary>char: UTF-8 text, count in bytes.</summary>
        Utf8 = Raw.KEEL_TYPE_UTF8,
    }

    /// <summary>What the rows of a batch are.</summary>
    public enum BatchKind
    {
        /// <summary>Prompts to generate from.</summary>
        Prompts = Raw.KEEL_BATCH_PROMPTS,
        /// <summary>Prompts with the responses to learn.</summary>
        Demonstrations = Raw.KEEL_BATCH_DEMONSTRATIONS,
        /// <summary>Prompts with a chosen and a rejected response.</summary>
        Preferences = Raw.KEEL_BATCH_PREFERENCES,
        /// <summary>Prompts with sampled responses, what was recorded when they were sampled, and their rewards.</summary>
        Rollouts = Raw.KEEL_BATCH_ROLLOUTS,
        /// <summary>Prompts with responses, each called good or bad.</summary>
        Feedback = Raw.KEEL_BATCH_FEEDBACK,
        /// <summary>Prompts with responses, each with its rank among those to the same prompt.</summary>
        Rankings = Raw.KEEL_BATCH_RANKINGS,
    }

    /// <summary>Why a response ended, in the column finish_reason.</summary>
    public enum FinishReason
    {
        /// <summary>Column finish_reason: the model ended its response.</summary>
        Eos = Raw.KEEL_FINISH_EOS,
        /// <summary>Column finish_reason: a stop token or stop text was met.</summary>
        Stop = Raw.KEEL_FINISH_STOP,
        /// <summary>Column finish_reason: max_new_tokens was reached.</summary>
        Length = Raw.KEEL_FINISH_LENGTH,
        /// <summary>Column finish_reason: the host ended it.</summary>
        Host = Raw.KEEL_FINISH_HOST,
    }

    /// <summary>What rows are for, in the column split.</summary>
    public enum Split
    {
        /// <summary>Column split: rows to learn from.</summary>
        Training = Raw.KEEL_SPLIT_TRAINING,
        /// <summary>Column split: rows for keel_session_evaluate.</summary>
        Evaluation = Raw.KEEL_SPLIT_EVALUATION,
    }

    /// <summary>What a model is to a session.</summary>
    public enum Role
    {
        /// <summary>The model in training.</summary>
        Policy = Raw.KEEL_ROLE_POLICY,
        /// <summary>The model that the policy is held close to, a frozen copy of the one that is set, which follows the policy only where the algorithm says so; without one, a copy of the policy as it was set. keel_session_model gives a copy of it.</summary>
        Reference = Raw.KEEL_ROLE_REFERENCE,
        /// <summary>The model that scores rollouts which the host does not reward; in a session that trains a reward model, that model.</summary>
        Reward = Raw.KEEL_ROLE_REWARD,
        /// <summary>A model of one score that tells the values of states, trained with the policy and set before it; without one, a head on the policy's trunk does.</summary>
        Value = Raw.KEEL_ROLE_VALUE,
    }

    /// <summary>Where a job stands.</summary>
    public enum JobState
    {
        /// <summary>keel_report.state: the job has more to do.</summary>
        Pending = Raw.KEEL_JOB_PENDING,
        /// <summary>keel_report.state: there is nothing to do until more rows, rewards or answers are there; make another job then.</summary>
        NeedData = Raw.KEEL_JOB_NEED_DATA,
        /// <summary>keel_report.state: the job is complete.</summary>
        Done = Raw.KEEL_JOB_DONE,
        /// <summary>keel_report.state: the job was cancelled.</summary>
        Cancelled = Raw.KEEL_JOB_CANCELLED,
        /// <summary>keel_report.state: the job failed; keel_job_error says why.</summary>
        Failed = Raw.KEEL_JOB_FAILED,
    }

    /// <summary>What became of a slot's episode.</summary>
    public enum Episode
    {
        /// <summary>keel_actor_observe: the episode goes on.</summary>
        Running = Raw.KEEL_EPISODE_RUNNING,
        /// <summary>keel_actor_observe: it ended; nothing follows.</summary>
        Terminated = Raw.KEEL_EPISODE_TERMINATED,
        /// <summary>keel_actor_observe: it was cut off, and would have gone on from the final observation.</summary>
        Truncated = Raw.KEEL_EPISODE_TRUNCATED,
        /// <summary>keel_actor_observe: nobody knows how it would have gone on; its last step is not learned from.</summary>
        Abandoned = Raw.KEEL_EPISODE_ABANDONED,
    }

    /// <summary>How an actor acts; they may be joined.</summary>
    [Flags]
    public enum ActFlags
    {
        /// <summary>None of them.</summary>
        None = 0,
        /// <summary>keel_actor_act: the likeliest choice and the mean, rather than a draw.</summary>
        Greedy = Raw.KEEL_ACT_GREEDY,
        /// <summary>keel_actor_act: nothing is learned from it; the slots stay where they stand: a recurrent policy acts from what it remembers of them, and remembers no more.</summary>
        Unrecorded = Raw.KEEL_ACT_UNRECORDED,
        /// <summary>keel_actor_act: the host or a person chose; the action records are read.</summary>
        Given = Raw.KEEL_ACT_GIVEN,
    }

    /// <summary>How text becomes tokens; they may be joined.</summary>
    [Flags]
    public enum EncodeFlags
    {
        /// <summary>None of them.</summary>
        None = 0,
        /// <summary>keel_model_encode: put the tokenizer's special tokens (begin of text …) where it would put them itself.</summary>
        Special = Raw.KEEL_ENCODE_SPECIAL,
    }

    /// <summary>How tokens become text; they may be joined.</summary>
    [Flags]
    public enum DecodeFlags
    {
        /// <summary>None of them.</summary>
        None = 0,
        /// <summary>keel_model_decode: leave special tokens out of the text.</summary>
        SkipSpecial = Raw.KEEL_DECODE_SKIP_SPECIAL,
    }
}
