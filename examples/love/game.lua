-- The courts, their player, and how good it was: what a tick does, drawn or not.
local Court = require "court"
local Learner = require "learner"

local Game = {}
Game.__index = Game

Game.RATE = 60
local COURTS, EVERY = 8, 3
local SAMPLE = 10 * Game.RATE -- ticks of a point of the curve
Game.LEAST = 3 * SAMPLE -- ticks of a verdict

function Game.new(clock)
  math.randomseed(7)
  local game = setmetatable({ clock = clock, courts = {}, tick = 0, late = 0, spent = {}, skill = {}, budget_us = 2000 }, Game)
  for i = 1, COURTS do game.courts[i] = Court.new() end
  game.learner = Learner.new(game.courts)
  game.returned, game.missed = 0, 0
  return game
end

function Game:sum(what)
  local sum = 0
  for _, court in ipairs(self.courts) do sum = sum + court[what] end
  return sum
end

-- The share of balls that came back, since the last call.
function Game:sample()
  local returned, missed = self:sum "returned", self:sum "missed"
  local came, went = returned - self.returned, missed - self.missed
  self.returned, self.missed = returned, missed
  self.skill[#self.skill + 1] = came / math.max(came + went, 1)
end

function Game:step()
  local begin = self.clock()
  if self.tick % EVERY == 0 then self.learner:act() end
  for i, court in ipairs(self.courts) do court:step(self.learner.ways[i - 1], 1 / Game.RATE) end
  self.tick = self.tick + 1
  if self.tick % EVERY == 0 then self.learner:observe() end
  self.learner:learn(self.budget_us)
  if self.tick % SAMPLE == 0 then self:sample() end
  local spent = self.clock() - begin
  self.spent[(self.tick - 1) % 150 + 1] = spent
  if spent > 1 / Game.RATE then self.late = self.late + 1 end
end

-- Whether it learned, and a line that says so.
function Game:verdict()
  local skill = self.skill
  local before, after = skill[1], (skill[#skill] + skill[#skill - 1]) / 2
  local line = ('LOVE {"before": %.2f, "after": %.2f, "late": %d, "updates": %d, "ticks": %d}'):format(
    before, after, self.late, self.learner.updates, self.tick)
  return after > before + 0.3, line
end

return Game
