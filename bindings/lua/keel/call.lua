--- How a function of keel's is called: the library, its errors, its texts, its handles.
local ffi = require "ffi"
local constants = require "keel.cdef"

local call = {}

--- libkeel.so where package.cpath finds it, else where the system does.
call.library = ffi.load(package.searchpath("libkeel", package.cpath) or "keel")

local last = ffi.new("keel_error", { struct_size = ffi.sizeof "keel_error" })
local handle, size = ffi.new "uint64_t[1]", ffi.new "size_t[1]"
call.error, call.handle, call.size = last, handle, size

local Failure = { __tostring = function(failure) return failure.name .. ": " .. failure.message end }

function call.failure(status)
  local name = ffi.string(call.library.keel_status_name(status))
  return setmetatable({ status = status, name = name, message = ffi.string(last.message) }, Failure)
end

--- The status of a call that did not fail.
function call.check(status)
  if status < 0 or status == constants.FULL then error(call.failure(status), 0) end
  return status
end

--- What a call that tells a text says. `told`: a function of keel's whose last parameters are buffer, capacity, needed, error.
function call.text(told, first, second)
  local capacity, status = 1024
  repeat
    local buffer = ffi.new("char[?]", capacity)
    if second ~= nil then
      status = told(first, second, buffer, capacity, size, last)
    elseif first ~= nil then
      status = told(first, buffer, capacity, size, last)
    else
      status = told(buffer, capacity, size, last)
    end
    if status >= 0 then return ffi.string(buffer, status == 0 and size[0] or 0), status end
    capacity = tonumber(size[0]) + 1
  until status ~= constants.E_CAPACITY
  error(call.failure(status), 0)
end

function call.report() return ffi.new("keel_report", { struct_size = ffi.sizeof "keel_report" }) end

--- The type of a noun's handles: destroyed by the collector at the latest.
function call.noun(noun, methods)
  local destroy = call.library["keel_" .. noun .. "_destroy"]
  function methods.destroy(self)
    destroy(self.id)
    self.id = 0
  end
  return ffi.metatype(ffi.typeof("struct { keel_" .. noun .. " id; }"), { __index = methods, __gc = methods.destroy })
end

return call
