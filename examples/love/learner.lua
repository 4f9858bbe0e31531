-- One policy for all courts, which learns in a share of each frame. The only file with keel in it.
local ffi = require "ffi"
local keel = require "keel"
local Court = require "court"

local Learner = {}
Learner.__index = Learner

local network = [[{"config": {"model_type": "control", "hidden": [32, 32],
  "observations": [{"type": "vector", "name": "court", "size": %d}],
  "actions": [{"type": "discrete", "name": "way", "choices": 3}]}}]]
local method = [[{"algorithm": {"type": "control_ppo", "rollout_steps": 1024, "epochs": 8, "minibatches": 8, "discount": 0.98,
  "entropy_coef": 0.002}, "optimizer": {"learning_rate": 2e-3}}]]

function Learner.new(courts)
  local learner = setmetatable({ courts = courts, updates = 0 }, Learner)
  local count = #courts
  learner.runtime = keel.Runtime.create()
  learner.session = keel.Session.create(learner.runtime, method)
  learner.session:set_model(keel.ROLE_POLICY, keel.Model.create(learner.runtime, network:format(Court.VIEW)))
  learner.actor = keel.Actor.create(learner.session)
  learner.slots, learner.ways = ffi.new("uint32_t[?]", count), ffi.new("int32_t[?]", count)
  learner.views, learner.rewards = ffi.new("float[?]", count * Court.VIEW), ffi.new("float[?]", count)
  learner.status = ffi.new("int32_t[?]", count)
  for i = 0, count - 1 do learner.slots[i] = i end
  return learner
end

-- Chooses a way for each court.
function Learner:act()
  local count = #self.courts
  for i, court in ipairs(self.courts) do court:view(self.views, (i - 1) * Court.VIEW) end
  self.actor:act(self.slots, count, self.views, 4 * count * Court.VIEW, self.ways, 4 * count)
end

-- Tells what came of it.
function Learner:observe()
  for i, court in ipairs(self.courts) do
    local reward, state = court:take()
    self.rewards[i - 1] = reward
    self.status[i - 1] = state == Court.MISSED and keel.EPISODE_TERMINATED or keel.EPISODE_RUNNING
  end
  self.actor:observe(self.slots, #self.courts, self.rewards, #self.courts, self.status)
end

-- A frame's share of learning.
function Learner:learn(budget_us)
  self.job = self.job or self.session:update()
  if self.job and self.job:pump(budget_us) ~= keel.PENDING then
    self.job:destroy()
    self.job, self.updates = nil, self.updates + 1
  end
end

return Learner
