"""Copies what tests/language.rs reads out of a full set of reference values.   usage: prune_language.py SOURCE

SOURCE is the folder that gen_models.py, gen_extras.py and gen_tokenizers.py wrote. Needs Python alone. Model directories
are copied as they are; of the vectors only the tensors listed here are kept, bit for bit.
"""
import json
import pathlib
import re
import shutil
import struct
import sys

HERE = pathlib.Path(__file__).resolve().parent.parent
CASES = r"(single|long|right|left)\.(input_ids|attention_mask|logits)|gen\..*|loss\.value"
MODELS = {
    "llama": CASES + r"|grad\..*",
    "gpt2": CASES + r"|grad\..*",
    "llama_tied": CASES + r"|grad\.(model\.embed_tokens|model\.norm|.*layers\.1).*",
    "llama3_rope": CASES + r"|grad\.(.*layers\.0\.self_attn).*",
}
DIRECTORY = ["config.json", "config_v4.json", "generation_config.json", "model.safetensors", "tokenizer.json",
             "tokenizer_config.json", "chat_template.jinja"]


def read(path):
    raw = path.read_bytes()
    (size,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8:8 + size])
    header.pop("__metadata__", None)
    return {name: (t["dtype"], t["shape"], raw[8 + size:][slice(*t["data_offsets"])]) for name, t in header.items()}


def write(path, tensors):
    header, data = {}, b""
    for name, (dtype, shape, raw) in sorted(tensors.items(), key=lambda item: (-len(item[1][2]), item[0])):
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def vectors(source, target, keep):
    target.mkdir(parents=True, exist_ok=True)
    kept = {n: t for n, t in read(source / "vectors.safetensors").items() if re.fullmatch(keep, n)}
    write(target / "vectors.safetensors", kept)


def copy(source, target, names):
    target.mkdir(parents=True, exist_ok=True)
    for name in names:
        shutil.copyfile(source / name, target / name)


def main(source):
    for name, keep in MODELS.items():
        copy(source / "models" / name, HERE / "models" / name, DIRECTORY)
        vectors(source / "models" / name, HERE / "models" / name, keep)
        info = json.loads((source / "models" / name / "vectors.json").read_text())
        info = {key: info[key] for key in ("gen", "min_greedy_top2_gap", "loss", "tolerance", "seed", "versions")}
        (HERE / "models" / name / "vectors.json").write_text(json.dumps(info, indent=1) + "\n")
    for name in ("llama_bf16", "llama_sharded"):
        folder = source / "extras" / name
        copy(folder, HERE / "extras" / name, [p.name for p in folder.iterdir() if not p.name.startswith("vectors")])
    for name in ("reward_llama", "reward_gpt2"):
        copy(source / "extras" / name, HERE / "extras" / name, ["config.json", "model.safetensors"])
        vectors(source / "extras" / name, HERE / "extras" / name, r"right\.(input_ids|attention_mask|reward|values)")
    vectors(source / "extras" / "llama_bf16", HERE / "extras" / "llama_bf16", "input_ids|logits_upcast")
    vectors(source / "extras" / "sampling", HERE / "extras" / "sampling", r"logits|out\.(temperature|top_[kp])_.*")
    for kind in ("bytelevel", "metaspace", "split"):
        copy(source / "tokenizers" / kind, HERE / "tokenizers" / kind, ["tokenizer.json", "vectors.json"])


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
