-- Two tiny runs in this process: a language model is aligned, then a walker learns its way. The same program stands beside
-- this file in other languages; all print the same numbers.
local ffi = require "ffi"
local keel = require "keel"

local ROWS, ROUNDS, WALKERS, PLACES, LONGEST, STEPS = 16, 4, 4, 8, 16, 64

local function number(whole) return (tostring(whole):gsub("U?LL$", "")) end

-- A game would draw a frame between two calls of this loop; each takes 2 ms of it.
local function finish(job)
  while job:pump(2000) == keel.PENDING do end
end

local function session_of(runtime, model_json, session_json)
  local session = keel.Session.create(runtime, session_json)
  session:set_model(keel.ROLE_POLICY, keel.Model.create(runtime, model_json))
  return session
end

local function update(session)
  local job = session:update()
  finish(job)
  job:destroy()
  return number(session:state_hash())
end

-- Responses are sampled, those with more even tokens are rewarded more, and GRPO makes them likelier.
local function align(runtime)
  local session = session_of(runtime, [[{"config": {"model_type": "llama", "vocab_size": 32, "hidden_size": 32,
    "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 64},
    "initialization": "fan_in"}]], [[{"algorithm": {"type": "grpo"}, "optimizer": {"learning_rate": 0.01}, "threads": 1}]])
  local tokens, groups = {}, {} -- four responses to each of four prompts
  for row = 1, ROWS do
    groups[row] = math.floor((row - 1) / 4)
    tokens[row] = 3 + groups[row]
  end
  local prompts = keel.Batch.create(runtime, keel.BATCH_PROMPTS, ROWS)
  prompts:set("prompt", keel.TYPE_I32, tokens)

  for round = 1, ROUNDS do
    local job = session:generate(prompts, ([[{"max_new_tokens": 8, "seed": %d}]]):format(round))
    finish(job)
    local rollouts = job:batch()
    local responses, count, offsets = rollouts:get("response", keel.TYPE_I32)
    local rewards, even = {}, 0
    for row = 1, ROWS do
      rewards[row] = 0
      for at = tonumber(offsets[row - 1]), tonumber(offsets[row]) - 1 do
        rewards[row] = rewards[row] + (responses[at] % 2 == 0 and 1 or 0)
      end
      even = even + rewards[row]
    end
    rollouts:set("reward", keel.TYPE_F32, rewards)
    rollouts:set("group", keel.TYPE_U64, groups)
    session:push(rollouts)
    print(("alignment %d: %d of %d tokens even, state %s"):format(round, even, count, update(session)))
  end
end

-- Walkers on a line of places: at its right end there is a reward, at its left end nothing, and both end the episode.
local function control(runtime)
  local session = session_of(runtime, [[{"config": {"model_type": "control", "hidden": [16],
    "observations": [{"type": "vector", "name": "place", "size": 1}],
    "actions": [{"type": "discrete", "name": "way", "choices": 2}]}}]],
    [[{"algorithm": {"type": "control_ppo", "rollout_steps": 240, "minibatches": 4}, "optimizer": {"learning_rate": 0.01}}]])
  local actor = keel.Actor.create(session)
  local slots, observations = ffi.new("uint32_t[?]", WALKERS, 0, 1, 2, 3), ffi.new("float[?]", WALKERS)
  local ways, rewards = ffi.new("int32_t[?]", WALKERS), ffi.new("float[?]", WALKERS)
  local status, last = ffi.new("int32_t[?]", WALKERS), ffi.new("float[?]", WALKERS)
  local bytes = 4 * WALKERS
  local places, ages = {}, {}
  for i = 0, WALKERS - 1 do places[i], ages[i] = 4, 0 end

  for round = 1, ROUNDS do
    local goals = 0
    for _ = 1, STEPS do
      local cut = 0
      for i = 0, WALKERS - 1 do observations[i] = places[i] / PLACES end
      actor:act(slots, WALKERS, observations, bytes, ways, bytes)
      for i = 0, WALKERS - 1 do
        places[i], ages[i] = places[i] + (ways[i] == 1 and 1 or -1), ages[i] + 1
        local there = places[i] == PLACES
        goals = goals + (there and 1 or 0)
        rewards[i], status[i] = there and 1 or 0, keel.EPISODE_RUNNING
        if there or places[i] == 0 then
          status[i] = keel.EPISODE_TERMINATED
        elseif ages[i] == LONGEST then
          status[i], last[cut], cut = keel.EPISODE_TRUNCATED, places[i] / PLACES, cut + 1
        end
        if status[i] ~= keel.EPISODE_RUNNING then places[i], ages[i] = 4, 0 end
      end
      actor:observe(slots, WALKERS, rewards, WALKERS, status, last, 4 * cut)
    end
    print(("control %d: %d goals, state %s"):format(round, goals, update(session)))
  end
end

local runtime = keel.Runtime.create()
align(runtime)
control(runtime)
runtime:destroy()
collectgarbage() -- the other handles went out of scope
collectgarbage()
print(("%d handles left"):format(keel.live_handles()))
