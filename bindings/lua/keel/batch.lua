--- Batch: rows of named columns.
local ffi = require "ffi"
local call = require "keel.call"
local constants = require "keel.cdef"

local C, check, last = call.library, call.check, call.error
local arrays = {
  [constants.TYPE_I32] = ffi.typeof "int32_t[?]",
  [constants.TYPE_I64] = ffi.typeof "int64_t[?]",
  [constants.TYPE_U64] = ffi.typeof "uint64_t[?]",
  [constants.TYPE_F32] = ffi.typeof "float[?]",
  [constants.TYPE_U8] = ffi.typeof "uint8_t[?]",
}
local pointers = {
  [constants.TYPE_I32] = ffi.typeof "const int32_t *",
  [constants.TYPE_I64] = ffi.typeof "const int64_t *",
  [constants.TYPE_U64] = ffi.typeof "const uint64_t *",
  [constants.TYPE_F32] = ffi.typeof "const float *",
  [constants.TYPE_U8] = ffi.typeof "const uint8_t *",
  [constants.TYPE_UTF8] = ffi.typeof "const char *",
}
local methods = {}

--- values: a list of numbers. offsets: where each row begins and the last ends, rows + 1 of them, or nil where all rows
--- have as many values.
function methods:set(column, type, values, offsets)
  local array_of = arrays[type] or error("type: expected keel.TYPE_I32, I64, U64, F32 or U8, got " .. tostring(type), 2)
  local array = array_of(#values, values)
  local where = offsets and ffi.new("uint64_t[?]", #offsets, offsets) or nil
  check(C.keel_batch_set(self.id, column, #column, type, array, #values, where, last))
end

--- values: a list of texts, one a row.
function methods:set_text(column, values)
  local offsets, text = ffi.new("uint64_t[?]", #values + 1), table.concat(values)
  for row, value in ipairs(values) do offsets[row] = offsets[row - 1] + #value end
  check(C.keel_batch_set(self.id, column, #column, constants.TYPE_UTF8, text, #text, offsets, last))
end

--- A view: pointer, count, and offsets or nil; until the batch changes or is collected. type: as wanted, nil as stored.
function methods:get(column, type)
  local kind, values, offsets = ffi.new("int32_t[1]", type or 0), ffi.new "const void *[1]", ffi.new "const uint64_t *[1]"
  check(C.keel_batch_get(self.id, column, #column, kind, values, call.size, offsets, last))
  local where = offsets[0] ~= nil and offsets[0] or nil
  return ffi.cast(pointers[kind[0]], values[0]), tonumber(call.size[0]), where, kind[0]
end

--- A column of text as a list.
function methods:texts(column)
  local values, _, offsets = self:get(column, constants.TYPE_UTF8)
  local list = {}
  for row = 1, self:rows() do
    list[row] = ffi.string(values + offsets[row - 1], offsets[row] - offsets[row - 1])
  end
  return list
end

function methods:rows()
  check(C.keel_batch_rows(self.id, call.handle, last))
  return tonumber(call.handle[0])
end

local Batch = call.noun("batch", methods)

--- kind: keel.BATCH_…
local function create(runtime, kind, rows)
  check(C.keel_batch_create(runtime.id, kind, rows, call.handle, last))
  return Batch(call.handle[0])
end

return { create = create, type = Batch }
