//! Model directories on disk: the only place of the room that touches files.
//!
//! Reads a Hugging Face directory (config, one or sharded safetensors, tokenizer) through a memory map, tensor by tensor
//! into the arena, and writes one that transformers loads, each file whole or not at all. Whatever is missing, too much,
//! misshapen or cut short is refused in a sentence with the file and the tensor.

use crate::config::Dtype;
use crate::error::{Error, Result, Status};
use crate::model::arena::{Layout, Slot};
use crate::model::format::{self, Entry};
use crate::model::language::{Architecture, Family};
use memmap2::Mmap;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use tch::{Device, Kind, Tensor};

/// Longer JSON and text files are refused.
const LONGEST_TEXT: u64 = 256 << 20;

/// What a model directory holds beside the weights.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Parts {
    /// `config.json`
    pub config: Value,
    /// `tokenizer.json`, byte for byte; not part of the JSON form
    #[serde(skip)]
    pub tokenizer: Option<Vec<u8>>,
    /// `tokenizer_config.json`
    pub tokenizer_config: Option<Value>,
    /// `generation_config.json`
    pub generation: Option<Value>,
    /// `chat_template.jinja`
    pub chat_template: Option<String>,
    /// `network.pt`, a control network's script, byte for byte; not part of the JSON form
    #[serde(skip)]
    pub script: Option<Vec<u8>>,
}

/// A directory as read: its parts and its weights in one flat buffer on the CPU.
pub(super) struct Directory {
    pub parts: Parts,
    pub architecture: Architecture,
    pub layout: Layout,
    pub data: Tensor,
}

/// Reads the directory at `path`; `Auto` keeps bf16 if all weights are bf16.
pub(super) fn read(path: &Path, dtype: Dtype) -> Result<Directory> {
    let config = config(path)?;
    let architecture = Architecture::parse(&config).map_err(|mut error| {
        if error.status == Status::Config {
            error.status = Status::Format;
        }
        error.within(path.join("config.json").display())
    })?;
    let parts = Parts {
        config,
        tokenizer: read_file(&path.join("tokenizer.json"))?,
        tokenizer_config: read_json(&path.join("tokenizer_config.json"))?,
        generation: read_json(&path.join("generation_config.json"))?,
        chat_template: read_text(&path.join("chat_template.jinja"))?,
        script: None,
    };
    let layout = Layout::new(&architecture.parameters());
    let shards = Shard::open_all(path)?;
    let data = fill(path, &architecture, &layout, &shards, dtype)?;
    Ok(Directory { parts, architecture, layout, data })
}

/// The `config.json` of the directory at `path`.
pub(super) fn config(path: &Path) -> Result<Value> {
    if !path.is_dir() {
        return Err(Error::file(path, "expected a model directory, found none"));
    }
    let place = path.join("config.json");
    read_json(&place)?.ok_or_else(|| Error::file(&place, "missing (is this a model directory?)"))
}

/// The bytes of a control network's script.
pub(super) fn read_script(path: &Path) -> Result<Vec<u8>> {
    read_file(path)?.ok_or_else(|| Error::file(path, "missing, and the network's script is to be there"))
}

/// The weights of the directory at `path`, which has exactly the tensors of `layout`, as f32, flat on the CPU.
pub(super) fn read_flat(path: &Path, layout: &Layout) -> Result<Tensor> {
    let shard = Shard::open(path.join("model.safetensors"))?;
    let refuse = |sentence: String| Error::format(&shard.path, sentence);
    if let Some(entry) = shard.entries.iter().find(|entry| layout.find(&entry.name).is_none()) {
        return Err(refuse(format!("tensor \"{}\": this network has no such parameter", entry.name)));
    }
    let data = Tensor::f_zeros([layout.len], (Kind::Float, Device::Cpu))?;
    for (place, slot) in layout.slots.iter().enumerate() {
        let found = shard.entries.iter().find(|entry| entry.name == slot.name);
        let entry = found.ok_or_else(|| refuse(format!("tensor \"{}\": missing", slot.name)))?;
        let kind = entry.kind().filter(|_| entry.shape == slot.shape).ok_or_else(|| {
            refuse(format!(
                "tensor \"{}\": expected floats of shape {:?}, got {:?}",
                slot.name, slot.shape, entry.shape
            ))
        })?;
        shard.copy_into(entry, kind, &mut layout.view(&data, place))?;
    }
    Ok(data)
}

/// Writes `parts` and the weights in `data` (flat, any device) as a directory that transformers loads. What an older
/// model left there of these files goes; `config.json` comes last, so that it never stands over half a model of its own.
pub(super) fn write(path: &Path, parts: &Parts, layout: &Layout, data: &Tensor) -> Result<()> {
    fs::create_dir_all(path).map_err(|error| Error::file(path, format!("cannot be made: {error}")))?;
    let pretty = |value: &Value| format!("{value:#}\n").into_bytes();
    let config = pretty(&parts.config);
    write_file(&path.join("model.safetensors"), |file| write_weights(file, layout, data))?;
    remove_shards(path)?;
    let generation = parts.generation.as_ref().map(pretty);
    let tokenizer_config = parts.tokenizer_config.as_ref().map(pretty);
    let chat_template = parts.chat_template.as_ref().map(|text| text.clone().into_bytes());
    let optional = [
        ("generation_config.json", &generation),
        ("tokenizer.json", &parts.tokenizer),
        ("tokenizer_config.json", &tokenizer_config),
        ("chat_template.jinja", &chat_template),
        ("network.pt", &parts.script),
    ];
    for (name, bytes) in optional {
        match bytes {
            Some(bytes) => write_file(&path.join(name), |file| file.write_all(bytes).map_err(unwritten))?,
            None => remove(&path.join(name))?,
        }
    }
    write_file(&path.join("config.json"), |file| file.write_all(&config).map_err(unwritten))?;
    let synced = File::open(path).and_then(|directory| directory.sync_all());
    synced.map_err(|error| Error::file(path, format!("cannot be synced: {error}")))
}

/// Removes the index of a model in shards and the shards: files named `model-00001-of-00004.safetensors`.
fn remove_shards(path: &Path) -> Result<()> {
    let is_shard = |name: &str| {
        let numbers = name.strip_prefix("model-").and_then(|rest| rest.strip_suffix(".safetensors"));
        let digits = |number: &str| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        numbers.and_then(|rest| rest.split_once("-of-")).is_some_and(|(part, all)| digits(part) && digits(all))
    };
    remove(&path.join("model.safetensors.index.json"))?;
    for entry in fs::read_dir(path).map_err(|error| Error::file(path, error))? {
        let entry = entry.map_err(|error| Error::file(path, error))?;
        if entry.file_name().to_str().is_some_and(is_shard) {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Error::file(path, format!("cannot be removed: {error}")))
        }
        _ => Ok(()),
    }
}

/// One safetensors file, mapped.
struct Shard {
    path: PathBuf,
    map: Mmap,
    data: usize,
    entries: Vec<Entry>,
}

impl Shard {
    /// The single file of a directory, or all that its index names.
    fn open_all(path: &Path) -> Result<Vec<Shard>> {
        let single = path.join("model.safetensors");
        if single.exists() {
            return Ok(vec![Shard::open(single)?]);
        }
        let index_path = path.join("model.safetensors.index.json");
        let Some(index) = read_json(&index_path)? else {
            return Err(Error::file(&single, "missing, and so is model.safetensors.index.json"));
        };
        let named = weight_map(&index).map_err(|sentence| Error::format(&index_path, sentence))?;
        let files: BTreeSet<&str> = named.values().copied().collect();
        let shards = files.iter().map(|file| Shard::open(path.join(file))).collect::<Result<Vec<_>>>()?;
        let mut found = HashSet::new();
        for (file, shard) in files.iter().zip(&shards) {
            for entry in &shard.entries {
                if named.get(entry.name.as_str()) != Some(file) {
                    let sentence = format!("tensor \"{}\": the index does not name it for this file", entry.name);
                    return Err(Error::format(&shard.path, sentence));
                }
                found.insert(entry.name.as_str());
            }
        }
        if let Some((tensor, file)) = named.iter().find(|(tensor, _)| !found.contains(**tensor)) {
            let sentence = format!("tensor \"{tensor}\": missing, the index names it for this file");
            return Err(Error::format(&path.join(file), sentence));
        }
        Ok(shards)
    }

    fn open(path: PathBuf) -> Result<Shard> {
        let file = File::open(&path).map_err(|error| Error::file(&path, error))?;
        if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
            return Err(Error::file(&path, "expected a file"));
        }
        // SAFETY: the map is read-only and private to this function's callers. A process that truncates the file in
        // these moments breaks every reader of it; writers of model files rename instead, as `write_file` does.
        let map = unsafe { Mmap::map(&file) }.map_err(|error| Error::file(&path, error))?;
        let (entries, data) = format::parse(&map).map_err(|sentence| Error::format(&path, sentence))?;
        Ok(Shard { path, map, data, entries })
    }

    /// The tensor of `entry` as kind `kind`, copied out of the map.
    fn copy_into(&self, entry: &Entry, kind: Kind, target: &mut Tensor) -> Result<()> {
        let bytes = &self.map[self.data + entry.begin..self.data + entry.end];
        if bytes.is_empty() {
            return Ok(());
        }
        if !(bytes.as_ptr() as usize).is_multiple_of(4) {
            target.f_copy_(&Tensor::f_from_data_size(bytes, &entry.shape, kind)?)?;
            return Ok(());
        }
        // SAFETY: `bytes` holds exactly the elements of this shape and kind (checked in `format::parse`), is aligned for
        // them, and outlives the tensor, which is only read.
        let view = unsafe { Tensor::f_from_blob(bytes.as_ptr(), &entry.shape, &[], kind, Device::Cpu)? };
        target.f_copy_(&view)?;
        Ok(())
    }
}

fn weight_map(index: &Value) -> std::result::Result<BTreeMap<&str, &str>, String> {
    let map = index["weight_map"].as_object().ok_or("has no \"weight_map\" object")?;
    let mut named = BTreeMap::new();
    for (tensor, file) in map {
        let file = file.as_str().ok_or_else(|| format!("tensor \"{tensor}\": expected a file name"))?;
        if file.is_empty() || Path::new(file).file_name().is_none_or(|name| name != file) {
            return Err(format!("tensor \"{tensor}\": expected a file in this directory, got \"{file}\""));
        }
        named.insert(tensor.as_str(), file);
    }
    Ok(named)
}

/// Copies every tensor into a new arena after all names, shapes and kinds have been checked.
fn fill(path: &Path, a: &Architecture, layout: &Layout, shards: &[Shard], dtype: Dtype) -> Result<Tensor> {
    let mut sources: Vec<Option<(&Shard, &Entry, Kind)>> = vec![None; layout.slots.len()];
    let mut head = None;
    for shard in shards {
        for entry in &shard.entries {
            let refuse =
                |sentence: String| Err(Error::format(&shard.path, format!("tensor \"{}\": {sentence}", entry.name)));
            let tied_head = a.tied && a.scores() == 0 && entry.name == "lm_head.weight";
            let Some(slot) = place(a, layout, if tied_head { a.embedding_name() } else { &entry.name }) else {
                match is_buffer(&entry.name) {
                    true => continue,
                    false => return refuse(format!("this {} has no such parameter", family(a))),
                }
            };
            if entry.shape != layout.slots[slot].shape {
                return refuse(format!("expected shape {:?}, got {:?}", layout.slots[slot].shape, entry.shape));
            }
            let Some(kind) = entry.kind() else {
                return refuse(format!("expected F32, BF16 or F16, got {}", entry.dtype));
            };
            if tied_head {
                head = Some((shard, entry, kind, slot));
            } else if let Some((other, first, _)) = sources[slot].replace((shard, entry, kind)) {
                return refuse(format!("also in {} as \"{}\"", other.path.display(), first.name));
            }
        }
    }
    let missing: Vec<&str> = (0..sources.len())
        .filter(|slot| sources[*slot].is_none())
        .map(|slot| layout.slots[slot].name.as_str())
        .collect();
    if let Some(first) = missing.first() {
        let more = if missing.len() > 1 { format!(", and {} more", missing.len() - 1) } else { String::new() };
        return Err(Error::format(path, format!("tensor \"{first}\": missing{more}")));
    }
    let sources: Vec<(&Shard, &Entry, Kind)> = sources.into_iter().flatten().collect();
    let data = Tensor::f_zeros([layout.len], (arena_kind(dtype, &sources), Device::Cpu))?;
    for (slot, (shard, entry, kind)) in sources.iter().enumerate() {
        shard.copy_into(entry, *kind, &mut layout.view(&data, slot))?;
    }
    if let Some((shard, entry, kind, slot)) = head {
        let mut copy = layout.view(&data, slot).f_zeros_like()?;
        shard.copy_into(entry, kind, &mut copy)?;
        if !copy.f_equal(&layout.view(&data, slot))? {
            let sentence = "tensor \"lm_head.weight\": differs from the embedding, but tie_word_embeddings is true";
            return Err(Error::format(&shard.path, sentence));
        }
    }
    Ok(data)
}

fn arena_kind(dtype: Dtype, sources: &[(&Shard, &Entry, Kind)]) -> Kind {
    match dtype {
        Dtype::Float32 => Kind::Float,
        Dtype::Bfloat16 => Kind::BFloat16,
        Dtype::Auto if sources.iter().all(|(_, _, kind)| *kind == Kind::BFloat16) => Kind::BFloat16,
        Dtype::Auto => Kind::Float,
    }
}

/// The slot of a tensor's name, with or without the trunk's prefix.
fn place(a: &Architecture, layout: &Layout, name: &str) -> Option<usize> {
    layout.find(name).or_else(|| layout.find(&format!("{}{name}", a.prefix())))
}

/// Tensors that checkpoints carry but that are computed, not learned.
fn is_buffer(name: &str) -> bool {
    [".attn.bias", ".attn.masked_bias", "rotary_emb.inv_freq"].iter().any(|end| name.ends_with(end))
}

fn family(a: &Architecture) -> &'static str {
    match a.family {
        Family::Llama => "Llama",
        Family::Gpt2 => "GPT-2",
    }
}

fn write_weights(file: &mut File, layout: &Layout, data: &Tensor) -> Result<()> {
    let (dtype, width) = match data.f_kind()? {
        Kind::BFloat16 => ("BF16", 2),
        _ => ("F32", 4),
    };
    let size = |slot: &Slot| slot.count() as usize * width;
    let tensors: Vec<_> =
        layout.slots.iter().map(|slot| (slot.name.clone(), dtype, slot.shape.clone(), size(slot))).collect();
    let put = |file: &mut File, bytes: &[u8]| file.write_all(bytes).map_err(unwritten);
    put(file, &format::header(&tensors))?;
    for (place, slot) in layout.slots.iter().enumerate() {
        let tensor = layout.view(data, place).f_to_device(Device::Cpu)?.f_contiguous()?;
        let mut bytes = vec![0u8; size(slot)];
        tensor.f_copy_data_u8(&mut bytes, slot.count() as usize)?;
        put(file, &bytes)?;
    }
    Ok(())
}

/// Writes a file under a temporary name, syncs it and renames it into place.
fn write_file(path: &Path, content: impl FnOnce(&mut File) -> Result<()>) -> Result<()> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.{}.tmp", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
    let temporary = PathBuf::from(name);
    let written = File::create(&temporary).map_err(unwritten).and_then(|mut file| {
        content(&mut file)?;
        file.sync_all().map_err(unwritten)?;
        fs::rename(&temporary, path).map_err(unwritten)
    });
    written.map_err(|error| {
        // the first error is the one to report
        let _ = fs::remove_file(&temporary);
        error.within(path.display())
    })
}

fn unwritten(error: std::io::Error) -> Error {
    Error::new(Status::File, format!("cannot be written: {error}"))
}

fn read_file(path: &Path) -> Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::file(path, error)),
    };
    let mut bytes = Vec::new();
    let read = file.take(LONGEST_TEXT + 1).read_to_end(&mut bytes).map_err(|error| Error::file(path, error))?;
    match read as u64 > LONGEST_TEXT {
        true => Err(Error::format(path, format!("longer than {LONGEST_TEXT} bytes"))),
        false => Ok(Some(bytes)),
    }
}

fn read_text(path: &Path) -> Result<Option<String>> {
    let Some(bytes) = read_file(path)? else { return Ok(None) };
    String::from_utf8(bytes).map(Some).map_err(|error| Error::format(path, format!("not UTF-8: {error}")))
}

fn read_json(path: &Path) -> Result<Option<Value>> {
    let Some(bytes) = read_file(path)? else { return Ok(None) };
    let value: Value = serde_json::from_slice(&bytes).map_err(|error| Error::format(path, error))?;
    match value.is_object() {
        true => Ok(Some(value)),
        false => Err(Error::format(path, "expected a JSON object")),
    }
}
