--- Job: long work as a plan of slices.
local ffi = require "ffi"
local call = require "keel.call"
local Batch, Model = require "keel.batch", require "keel.model"

local C, check, last = call.library, call.check, call.error
local share = ffi.new "float[1]"
local methods = {}

--- Each of these takes a keel.report() to be written, or nil, and gives the status: OK, PENDING or NEED_DATA.
function methods:run(report) return check(C.keel_job_run(self.id, report, last)) end

function methods:pump(budget_us, report) return check(C.keel_job_pump(self.id, budget_us, report, last)) end

function methods:poll(report) return check(C.keel_job_poll(self.id, report, last)) end

function methods:wait(timeout_us, report) return check(C.keel_job_wait(self.id, timeout_us, report, last)) end

function methods:start() check(C.keel_job_start(self.id, last)) end

function methods:cancel() check(C.keel_job_cancel(self.id, last)) end

--- From 0 to 1, and a few words.
function methods:progress()
  local function told(buffer, capacity, needed, failure)
    return C.keel_job_progress(self.id, share, buffer, capacity, needed, failure)
  end
  local words = call.text(told)
  return share[0], words
end

--- What ended the job, or nil.
function methods:error()
  local status = C.keel_job_error(self.id, last)
  return status < 0 and call.failure(status) or nil
end

function methods:batch()
  check(C.keel_job_batch(self.id, call.handle, last))
  return Batch.type(call.handle[0])
end

function methods:model()
  check(C.keel_job_model(self.id, call.handle, last))
  return Model.type(call.handle[0])
end

return { type = call.noun("job", methods) }
