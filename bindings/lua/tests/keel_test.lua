-- The binding from LuaJIT: errors, texts, columns, handles that the collector ends, jobs that are polled. Wrong use raises.
local ffi = require "ffi"
local keel = require "keel"

local passed, failed = 0, 0

local function test(name, run)
  local fine, why = pcall(run)
  passed, failed = passed + (fine and 1 or 0), failed + (fine and 0 or 1)
  print((fine and "ok     " or "FAILED ") .. name .. (fine and "" or ": " .. tostring(why)))
end

-- What fails with this status; the failure.
local function raises(status, run, ...)
  local fine, failure = pcall(run, ...)
  assert(not fine, "nothing was raised")
  assert(type(failure) == "table" and failure.status == status, tostring(failure))
  return failure
end

local walker = [[{"config": {"model_type": "control", "hidden": [16],
  "observations": [{"type": "vector", "name": "place", "size": 1}],
  "actions": [{"type": "discrete", "name": "way", "choices": 2}]}}]]
local method = [[{"algorithm": {"type": "control_ppo", "rollout_steps": 64, "minibatches": 4}}]]
local runtime = keel.Runtime.create()

local function session_of()
  local session = keel.Session.create(runtime, method)
  session:set_model(keel.ROLE_POLICY, keel.Model.create(runtime, walker))
  return session
end

local function gather(session, steps)
  local actor = keel.Actor.create(session)
  local slots, observation, way = ffi.new "uint32_t[1]", ffi.new("float[1]", 0.5), ffi.new "int32_t[1]"
  local reward, status = ffi.new("float[1]", 1), ffi.new "int32_t[1]"
  for _ = 1, steps do
    actor:act(slots, 1, observation, 4, way, 4)
    actor:observe(slots, 1, reward, 1, status)
  end
  actor:destroy()
end

test("a full recording is raised", function()
  local session = keel.Session.create(runtime, (method:gsub("}}$", "}, \"queue_capacity\": 64}")))
  session:set_model(keel.ROLE_POLICY, keel.Model.create(runtime, walker))
  raises(keel.FULL, gather, session, 65)
end)

test("what is loaded says what it is", function()
  assert(keel.version():match "^%d+%.%d+%.%d+$")
  assert(keel.build_info():find('"libtorch"', 1, true) or keel.build_info():find("torch", 1, true))
  assert(#keel.config_schema "session" > 1024, "a text longer than the first buffer")
  assert(keel.ABI_VERSION > 0 and keel.OK == 0 and keel.PENDING == 1)
end)

test("a text comes alone", function()
  assert(select("#", keel.build_info()) == 1 and select("#", keel.config_schema "session") == 1)
  assert(select("#", runtime:devices()) == 1 and select("#", runtime:memory()) == 1)
end)

test("a text may become more tokens than it has bytes", function()
  local long = ("b"):rep(40)
  local model = keel.Model.create(runtime, [[{"config": {"model_type": "llama", "vocab_size": 32, "hidden_size": 32,
    "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4, "max_position_embeddings": 64}, "tokenizer": {
    "version": "1.0", "added_tokens": [], "normalizer": {"type": "Replace", "pattern": {"String": "a"}, "content": "]] .. long .. [["},
    "model": {"type": "BPE", "vocab": {"b": 0}, "merges": []}}}]])
  local tokens, count = model:encode "a"
  assert(count == 40 and model:decode(tokens, count):gsub(" ", "") == long)
  tokens, count = model:encode ""
  assert(count == 0 and select("#", model:info()) == 1)
end)

test("a wrong configuration is told with its place", function()
  local failure = raises(keel.E_CONFIG, keel.Session.create, runtime, [[{"algorithm": {"type": "control_pp0"}}]])
  assert(failure.name == "KEEL_E_CONFIG" and failure.message:find "/algorithm" and tostring(failure):find "^KEEL_E_CONFIG: ")
end)

test("a destroyed handle is told from one that lives", function()
  local session = session_of()
  session:destroy()
  session:destroy()
  raises(keel.E_INVALID_HANDLE, session.layout, session)
end)

test("wrong shapes are told and lose nothing", function()
  local session = session_of()
  local actor = keel.Actor.create(session)
  local slots, place, way = ffi.new("uint32_t[2]", 0, 1), ffi.new "float[2]", ffi.new "int32_t[2]"
  local reward, status = ffi.new "float[2]", ffi.new "int32_t[2]"
  local failure = raises(keel.E_SHAPE, actor.act, actor, slots, 2, place, 4, way, 8)
  assert(failure.message:find("expected 2 records of 4 bytes, got 4 bytes", 1, true), failure.message)
  raises(keel.E_STATE, actor.observe, actor, slots, 2, reward, 2, status)
  actor:act(slots, 2, place, 8, way, 8)
  place[1] = 0 / 0
  actor:observe(slots, 2, reward, 2, status)
  raises(keel.E_NON_FINITE, actor.act, actor, slots, 2, place, 8, way, 8)
end)

test("an update is pumped, or polled on a thread of keel's", function()
  local session, report = session_of(), keel.report()
  local job, status = session:update()
  assert(job == nil and status == keel.NEED_DATA)
  gather(session, 80)
  job = session:update()
  while job:pump(200, report) == keel.PENDING do assert(report.progress <= 1) end
  assert(report.state == keel.JOB_DONE and report.optimizer_steps > 0)
  gather(session, 80)
  job = session:update()
  job:start()
  while job:poll(report) == keel.PENDING do end
  local share, words = job:progress()
  assert(share == 1 and type(words) == "string" and job:error() == nil)
  assert(session:metrics():find('"updates":2', 1, true))
end)

test("columns come back as they were given", function()
  local batch = keel.Batch.create(runtime, keel.BATCH_DEMONSTRATIONS, 3)
  batch:set_text("prompt", { "a", "", "Łódź" })
  batch:set("response", keel.TYPE_I32, { 1, 2, 3, 4 }, { 0, 1, 2, 4 })
  assert(table.concat(batch:texts "prompt", "|") == "a||Łódź")
  local values, count, offsets, kind = batch:get "response"
  assert(count == 4 and values[3] == 4 and offsets[2] == 2 and kind == keel.TYPE_I32 and batch:rows() == 3)
  raises(keel.E_DATA, batch.get, batch, "chosen")
  local fine, why = pcall(batch.set, batch, "prompt", keel.TYPE_UTF8, { "a", "b", "c" })
  assert(not fine and tostring(why):find("type: expected", 1, true), why)
  raises(keel.E_SHAPE, batch.set, batch, "response", keel.TYPE_I32, { 1, 2 }, { 0, 1, 2, 4 })
end)

test("a session is saved, exported and restored", function()
  local session, path = session_of(), os.tmpname()
  local state = session:state_hash()
  session:save(path):run()
  local bytes = session:export():data()
  gather(session, 80)
  assert(session:step() == keel.OK and session:state_hash() ~= state)
  session:import(bytes)
  assert(session:state_hash() == state)
  assert(keel.Session.open(runtime, path):state_hash() == state)
  os.remove(path)
  raises(keel.E_FILE, keel.Session.open, runtime, path)
end)

test("events are taken one by one", function()
  local session = session_of()
  gather(session, 80)
  session:step()
  local event = runtime:next_event(session)
  assert(event and event:find "^{")
  local other = session_of()
  gather(other, 80)
  other:step()
  session:destroy()
  assert(runtime:next_event(session) == nil and runtime:next_event(other), "a destroyed session had the events of another")
  while runtime:next_event() do end
  assert(runtime:next_event() == nil)
end)

test("the collector ends what was forgotten", function()
  collectgarbage()
  collectgarbage()
  local before = keel.live_handles()
  for _ = 1, 20 do session_of() end
  collectgarbage()
  collectgarbage()
  assert(keel.live_handles() <= before, keel.live_handles())
end)

print(("%d passed, %d failed"):format(passed, failed))
os.exit(failed == 0 and 0 or 1)
