--- keel in LuaJIT: the nouns of keel.h, and its constants without KEEL_. A call that fails raises a table with status, name
--- and message, whose tostring is the sentence. What would call Lua back is left out: poll.
local ffi = require "ffi"
local call = require "keel.call"

local keel = {
  Runtime = require "keel.runtime",
  Model = require "keel.model",
  Batch = require "keel.batch",
  Session = require "keel.session",
  Job = require "keel.job",
  Actor = require "keel.actor",
  Blob = require "keel.blob",
}

function keel.version() return ffi.string(call.library.keel_version()) end

function keel.build_info() return (call.text(call.library.keel_build_info)) end

function keel.config_schema(kind) return (call.text(call.library.keel_config_schema, kind, #kind)) end

function keel.live_handles() return tonumber(call.library.keel_live_handles()) end

--- A keel_report, to be given to the calls that drive a job.
keel.report = call.report

for name, value in pairs(require "keel.cdef") do keel[name] = value end

return keel
