--- Blob: bytes that keel made.
local ffi = require "ffi"
local call = require "keel.call"

local methods = {}

--- A copy, as a string.
function methods:data()
  local data = ffi.new "const uint8_t *[1]"
  call.check(call.library.keel_blob_data(self.id, data, call.size, call.error))
  return ffi.string(data[0], call.size[0])
end

return { type = call.noun("blob", methods) }
