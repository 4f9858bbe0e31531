--- Model: weights, architecture and tokenizer.
local ffi = require "ffi"
local call = require "keel.call"
local constants = require "keel.cdef"

local C, check, last = call.library, call.check, call.error
local methods = {}

function methods:save(path) check(C.keel_model_save(self.id, path, #path, last)) end

function methods:info() return (call.text(C.keel_model_info, self.id)) end

--- The tokens of a text: an int32_t array and how many they are.
function methods:encode(text, flags)
  local capacity, tokens, status = #text + 16
  repeat
    tokens = ffi.new("int32_t[?]", capacity)
    status = C.keel_model_encode(self.id, text, #text, flags or 0, tokens, capacity, call.size, last)
    capacity = tonumber(call.size[0])
  until status ~= constants.E_CAPACITY
  check(status)
  return tokens, capacity
end

--- The text of count tokens.
function methods:decode(tokens, count, flags)
  local function told(buffer, capacity, needed, failure)
    return C.keel_model_decode(self.id, tokens, count, flags or 0, buffer, capacity, needed, failure)
  end
  return (call.text(told))
end

local Model = call.noun("model", methods)

--- json: the configuration "create".
local function create(runtime, json)
  check(C.keel_model_create(runtime.id, json, #json, call.handle, last))
  return Model(call.handle[0])
end

--- A job that loads a directory; job:model() when it is done. json: the configuration "load", or nil.
local function load(runtime, path, json)
  check(C.keel_model_load(runtime.id, path, #path, json, json and #json or 0, call.handle, last))
  return require("keel.job").type(call.handle[0])
end

return { create = create, load = load, type = Model }
