//! Tokens and text against the tokenizers library of Python.

use crate::golden::*;
use keel::model::Tokenizer;

#[test]
fn encodings_and_decodings_of_three_kinds_of_tokenizer() {
    for kind in ["bytelevel", "metaspace", "split"] {
        let bytes = std::fs::read(folder(&format!("tokenizers/{kind}/tokenizer.json"))).unwrap();
        let tokenizer = Tokenizer::from_bytes(&bytes).unwrap();
        let vectors = json_file(&format!("tokenizers/{kind}/vectors.json"));
        assert_eq!(tokenizer.vocabulary() as u64, vectors["vocab_size"].as_u64().unwrap());
        let cases = vectors["cases"].as_array().unwrap();
        assert_eq!(cases.len(), 19);
        for case in cases {
            let text = case["text"].as_str().unwrap();
            let ids = |key: &str| -> Vec<i32> {
                case[key].as_array().unwrap().iter().map(|id| id.as_i64().unwrap() as i32).collect()
            };
            assert_eq!(tokenizer.encode(text, true).unwrap(), ids("ids"), "{kind} {text:?}");
            assert_eq!(tokenizer.encode(text, false).unwrap(), ids("ids_no_special"), "{kind} {text:?}");
            assert_eq!(tokenizer.decode(&ids("ids"), false).unwrap(), case["decode"], "{kind} {text:?}");
            assert_eq!(tokenizer.decode(&ids("ids"), true).unwrap(), case["decode_skip_special"], "{kind} {text:?}");
        }
        assert_eq!(tokenizer.token(1).as_deref(), Some("<bos>"));
        assert!(tokenizer.token(-1).is_none() && tokenizer.token(1 << 20).is_none());
    }
}

#[test]
fn what_is_no_tokenizer_is_refused() {
    assert!(Tokenizer::from_bytes(b"{}").err().unwrap().message.starts_with("tokenizer.json: "));
    let bytes = std::fs::read(folder("tokenizers/split/tokenizer.json")).unwrap();
    assert!(Tokenizer::from_bytes(&bytes[..bytes.len() / 2]).is_err());
    let error = Tokenizer::from_bytes(&bytes).unwrap().decode(&[5, -1], false).unwrap_err();
    assert_eq!(error.message, "tokens: expected ids from 0, got -1");
}
