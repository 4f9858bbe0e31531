-- The rules of one court: a ball, a wall around it, and a paddle at its open side. Nothing of keel, nothing of LÖVE.
local Court = {}
Court.__index = Court

Court.RUNNING, Court.MISSED = 0, 1
Court.VIEW = 5 -- numbers that the player sees
Court.PADDLE, Court.HALF, Court.BALL = 0.94, 0.09, 0.02

local PADDLE_SPEED, BALL_SPEED = 1.1, 0.85

function Court.new()
  local court = setmetatable({ paddle = 0.5, returned = 0, missed = 0, reward = 0, state = Court.RUNNING, flash = 0, trail = {} }, Court)
  court:serve()
  return court
end

function Court:serve()
  local angle = math.pi / 2 + (math.random() - 0.5) * 1.6
  self.x, self.y = 0.1 + 0.8 * math.random(), 0.1
  self.vx, self.vy = BALL_SPEED * math.cos(angle), BALL_SPEED * math.sin(angle)
  self.trail = {}
end

-- Writes what the player sees at numbers[at] and behind it.
function Court:view(numbers, at)
  numbers[at], numbers[at + 1] = 2 * self.x - 1, 2 * self.y - 1
  numbers[at + 2], numbers[at + 3] = self.vx, self.vy
  numbers[at + 4] = 2 * self.paddle - 1
end

local function bounced(place, speed, least, most)
  if place < least then return 2 * least - place, -speed end
  if place > most then return 2 * most - place, -speed end
  return place, speed
end

-- The ball comes to the paddle's line.
function Court:meet()
  local offset = (self.x - self.paddle) / (Court.HALF + Court.BALL)
  if math.abs(offset) > 1 then
    self.missed, self.reward, self.state, self.flash = self.missed + 1, self.reward - 1, Court.MISSED, -1
    return self:serve()
  end
  local angle = -math.pi / 2 + 0.9 * offset
  self.y = Court.PADDLE - Court.BALL
  self.vx, self.vy = BALL_SPEED * math.cos(angle), BALL_SPEED * math.sin(angle)
  self.returned, self.reward, self.flash = self.returned + 1, self.reward + 1, 1
end

-- A tick of dt seconds. way: 0 left, 1 nowhere, 2 right.
function Court:step(way, dt)
  self.paddle = math.min(math.max(self.paddle + (way - 1) * PADDLE_SPEED * dt, Court.HALF), 1 - Court.HALF)
  self.x, self.vx = bounced(self.x + self.vx * dt, self.vx, Court.BALL, 1 - Court.BALL)
  self.y = self.y + self.vy * dt
  if self.y < Court.BALL then self.y, self.vy = bounced(self.y, self.vy, Court.BALL, 2) end
  if self.vy > 0 and self.y > Court.PADDLE - Court.BALL then self:meet() end
  self.flash = self.flash * 0.9
end

-- What came of the ticks since the last call.
function Court:take()
  local reward, state = self.reward, self.state
  self.reward, self.state = 0, Court.RUNNING
  return reward, state
end

return Court
