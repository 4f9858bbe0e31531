--- Actor: acts for slots, and tells what came of it.
local ffi = require "ffi"
local call = require "keel.call"

local C, check, last = call.library, call.check, call.error
local methods = {}

--- All are arrays of C: slots uint32_t, count of them; observations and actions records of any type, observation_bytes and
--- action_bytes in all. flags: keel.ACT_… or nil. decisions: uint64_t, or nil.
function methods:act(slots, count, observations, observation_bytes, actions, action_bytes, flags, decisions)
  check(C.keel_actor_act(self.id, slots, count, observations, observation_bytes, actions, action_bytes, flags or 0, decisions, last))
end

--- rewards: float, rewards_count of them. status: int32_t, keel.EPISODE_…, one a slot. final_observations: of truncated
--- slots, final_bytes in all; nil where none is.
function methods:observe(slots, count, rewards, rewards_count, status, final_observations, final_bytes)
  check(C.keel_actor_observe(self.id, slots, count, rewards, rewards_count, status, final_observations, final_bytes or 0, last))
end

local Actor = call.noun("actor", methods)

--- json: such as [[{"recorded": false}]], or nil.
local function create(session, json)
  check(C.keel_actor_create(session.id, json, json and #json or 0, call.handle, last))
  return Actor(call.handle[0])
end

return { create = create, type = Actor }
