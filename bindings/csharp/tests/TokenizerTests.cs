// Text that becomes tokens, and tokens that become text.
using System;
using System.IO;
using System.Threading.Tasks;
using Keel;

static class TokenizerTests
{
    const string Words = @"{""version"": ""1.0"", ""truncation"": null, ""padding"": null, ""added_tokens"": [], ""normalizer"": null,
        ""pre_tokenizer"": {""type"": ""Whitespace""}, ""post_processor"": null, ""decoder"": null,
        ""model"": {""type"": ""WordLevel"", ""vocab"": {""?"": 0, ""a"": 1, ""b"": 2, ""c"": 3, ""ünï"": 4}, ""unk_token"": ""?""}}";

    static void WithModel(Action<Model> work)
    {
        string folder = World.Folder();
        try
        {
            using (Model made = new Model(World.Runtime, World.Llama)) made.Save(folder);
            File.WriteAllText(Path.Combine(folder, "tokenizer.json"), Words);
            using (Job job = Model.Load(World.Runtime, folder))
            {
                job.Run();
                using (Model model = job.Model()) work(model);
            }
        }
        finally
        {
            Directory.Delete(folder, true);
        }
    }

    [Test]
    static void TextBecomesTokensAndComesBack()
    {
        WithModel(model =>
        {
            int[] tokens = model.Encode("a ünï c", EncodeFlags.Special);
            Expect.Same(new[] { 1, 4, 3 }, tokens);
            Expect.Equal("a ünï c", model.Decode(tokens, DecodeFlags.SkipSpecial));
            Expect.Equal("", model.Decode(new int[0]));
            Expect.Equal(0, model.Encode("").Length);
        });
    }

    // The shortest text there is fits anywhere: also where another thread reads its own.
    [Test]
    static void EachThreadReadsItsOwnLetter()
    {
        WithModel(model => Parallel.For(0, 4, index =>
        {
            int letter = 1 + index % 3;
            for (int i = 0; i < 20000; ++i) Expect.Equal("?abc".Substring(letter, 1), model.Decode(new[] { letter }));
        }));
    }
}
