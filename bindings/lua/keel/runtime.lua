--- Runtime: the devices, keel's own threads, the events.
local call = require "keel.call"
local constants = require "keel.cdef"

local C, check, last = call.library, call.check, call.error
local methods = {}

function methods:shutdown(timeout_us) check(C.keel_runtime_shutdown(self.id, timeout_us, last)) end

--- The oldest event as JSON, or nil where there is none. source: a session or job, or nil for any; with one that was destroyed its
--- events are gone.
function methods:next_event(source)
  if source and source.id == 0 then return nil end
  local event, status = call.text(C.keel_runtime_next_event, self.id, source and source.id or 0)
  return status == constants.OK and event or nil
end

function methods:devices() return (call.text(C.keel_runtime_devices, self.id)) end

function methods:memory() return (call.text(C.keel_runtime_memory, self.id)) end

local Runtime = call.noun("runtime", methods)

--- json: the configuration "runtime", or nil.
local function create(json)
  check(C.keel_runtime_create(constants.ABI_VERSION, json, json and #json or 0, call.handle, last))
  return Runtime(call.handle[0])
end

return { create = create, type = Runtime }
