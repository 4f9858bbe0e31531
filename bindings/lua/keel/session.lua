--- Session: one policy being aligned; its method, its rows, its optimiser.
local ffi = require "ffi"
local call = require "keel.call"
local constants = require "keel.cdef"
local Batch, Blob, Job, Model = require "keel.batch", require "keel.blob", require "keel.job", require "keel.model"

local C, check, last, out = call.library, call.check, call.error, call.handle
local methods = {}

local function job_of(status)
  if check(status) == constants.NEED_DATA then return nil, status end
  return Job.type(out[0]), status
end

local function length(text) return text and #text or 0 end

function methods:set_model(role, model) check(C.keel_session_set_model(self.id, role, nil, 0, model.id, last)) end

function methods:model(role)
  check(C.keel_session_model(self.id, role, nil, 0, out, last))
  return Model.type(out[0])
end

function methods:config() return (call.text(C.keel_session_config, self.id)) end

function methods:layout() return (call.text(C.keel_session_layout, self.id)) end

function methods:metrics() return (call.text(C.keel_session_metrics, self.id)) end

--- The id of the first row; the others follow one by one.
function methods:push(batch)
  check(C.keel_session_push(self.id, batch.id, out, last))
  return out[0]
end

--- ids: uint64_t, ids_count of them; rewards: float, rewards_count of them.
function methods:reward(ids, ids_count, rewards, rewards_count)
  check(C.keel_session_reward(self.id, ids, ids_count, rewards, rewards_count, last))
end

--- Rollouts that wait for their rewards, or nil.
function methods:take_queries()
  if check(C.keel_session_take_queries(self.id, out, last)) == constants.EMPTY then return nil end
  return Batch.type(out[0])
end

function methods:answer(ids, ids_count, rewards, rewards_count)
  check(C.keel_session_answer(self.id, ids, ids_count, rewards, rewards_count, last))
end

function methods:clear() check(C.keel_session_clear(self.id, last)) end

function methods:pause() check(C.keel_session_pause(self.id, last)) end

function methods:resume() check(C.keel_session_resume(self.id, last)) end

--- These give a job, or nil and NEED_DATA.
function methods:update() return job_of(C.keel_session_update(self.id, out, last)) end

function methods:evaluate() return job_of(C.keel_session_evaluate(self.id, out, last)) end

function methods:generate(prompts, json)
  return job_of(C.keel_session_generate(self.id, prompts.id, json, length(json), out, last))
end

function methods:configure(json) return job_of(C.keel_session_configure(self.id, json, #json, out, last)) end

function methods:publish() return job_of(C.keel_session_publish(self.id, out, last)) end

function methods:roll_back(version) return job_of(C.keel_session_roll_back(self.id, version, out, last)) end

function methods:save(path) return job_of(C.keel_session_save(self.id, path, #path, out, last)) end

function methods:restore(path) return job_of(C.keel_session_restore(self.id, path, #path, out, last)) end

--- update and run in one: the status.
function methods:step(report) return check(C.keel_session_step(self.id, report, last)) end

function methods:export()
  check(C.keel_session_export(self.id, out, last))
  return Blob.type(out[0])
end

--- bytes: a string.
function methods:import(bytes) check(C.keel_session_import(self.id, bytes, #bytes, last)) end

--- A uint64_t.
function methods:state_hash()
  local hash = ffi.new "uint64_t[1]"
  check(C.keel_session_state_hash(self.id, hash, last))
  return hash[0]
end

local Session = call.noun("session", methods)

--- json: the configuration "session".
local function create(runtime, json)
  check(C.keel_session_create(runtime.id, json, #json, out, last))
  return Session(out[0])
end

--- A session as methods.save left it.
local function open(runtime, path)
  check(C.keel_session_open(runtime.id, path, #path, out, last))
  return Session(out[0])
end

return { create = create, open = open, type = Session }
