-- Draws the courts, and at their side what the player can and what a tick costs.
local Court = require "court"
local Game = require "game"

local Scene = {}

local INK, DIM, LINE = { 0.93, 0.95, 0.98 }, { 0.55, 0.6, 0.7 }, { 0.17, 0.2, 0.28 }
local GOLD, MINT, RED = { 0.98, 0.78, 0.3 }, { 0.42, 0.86, 0.68 }, { 1, 0.4, 0.36 }
local SIDE, WIDE, HIGH = 224, 240, 360

local function text(words, x, y, size, colour)
  Scene.fonts[size] = Scene.fonts[size] or love.graphics.newFont(size)
  love.graphics.setFont(Scene.fonts[size])
  love.graphics.setColor(colour)
  love.graphics.print(words, x, y)
end

local function draw_court(court, x, y)
  local function at(u, v) return x + u * SIDE, y + v * (HIGH - 24) end
  local glow = math.abs(court.flash) * 0.35
  local light = court.flash > 0 and MINT or RED
  love.graphics.setColor(0.07 + light[1] * glow * 0.4, 0.085 + light[2] * glow * 0.4, 0.13 + light[3] * glow * 0.4)
  love.graphics.rectangle("fill", x, y, SIDE, HIGH - 24, 10)
  love.graphics.setColor(LINE)
  love.graphics.setLineWidth(1.5)
  love.graphics.rectangle("line", x, y, SIDE, HIGH - 24, 10)
  local trail = court.trail
  trail[#trail + 1] = { court.x, court.y }
  if #trail > 22 then table.remove(trail, 1) end
  for i, place in ipairs(trail) do
    local px, py = at(place[1], place[2])
    love.graphics.setColor(GOLD[1], GOLD[2], GOLD[3], 0.35 * i / #trail)
    love.graphics.circle("fill", px, py, 2 + 4 * i / #trail)
  end
  local bx, by = at(court.x, court.y)
  love.graphics.setColor(GOLD)
  love.graphics.circle("fill", bx, by, 7)
  local px, py = at(court.paddle - Court.HALF, Court.PADDLE)
  love.graphics.setColor(MINT)
  love.graphics.rectangle("fill", px, py, 2 * Court.HALF * SIDE, 9, 4.5)
end

local function draw_skill(game, x, y, wide, high)
  text("balls returned", x, y - 26, 14, DIM)
  for _, share in ipairs { 0, 0.5, 1 } do
    love.graphics.setColor(LINE)
    love.graphics.line(x + 40, y + high * (1 - share), x + wide, y + high * (1 - share))
    text(("%d %%"):format(100 * share), x, y + high * (1 - share) - 8, 12, DIM)
  end
  local points = {}
  for i, share in ipairs(game.skill) do
    points[#points + 1] = x + 44 + (wide - 50) * (i - 1) / math.max(#game.skill - 1, 1)
    points[#points + 1] = y + high * (1 - share)
  end
  love.graphics.setColor(GOLD)
  love.graphics.setLineWidth(2.5)
  if #points >= 4 then love.graphics.line(points) end
  if #points >= 2 then
    love.graphics.circle("fill", points[#points - 1], points[#points], 4)
    text(("%.0f %% at first, %.0f %% now"):format(100 * game.skill[1], 100 * game.skill[#game.skill]), x, y + high + 14, 15, INK)
  end
end

local function draw_ticks(game, x, y, wide, high)
  text(("work of a tick: game, act, learn %.0f ms"):format(game.budget_us / 1000), x, y - 26, 14, DIM)
  local limit, sum = 1 / Game.RATE, 0
  for i, spent in ipairs(game.spent) do
    local tall = math.min(spent / 0.02, 1) * high
    sum = sum + spent
    love.graphics.setColor(spent > limit and RED or MINT)
    love.graphics.rectangle("fill", x + (i - 1) * wide / 150, y + high - tall, 1.3, tall)
  end
  love.graphics.setColor(RED)
  love.graphics.setLineWidth(1)
  love.graphics.line(x, y + high * (1 - limit / 0.02), x + wide, y + high * (1 - limit / 0.02))
  text("16.7 ms", x, y + high * (1 - limit / 0.02) - 18, 12, RED)
  love.graphics.setColor(LINE)
  love.graphics.line(x, y + high, x + wide, y + high)
  text(("%.2f ms on average, %d of %d late"):format(1000 * sum / math.max(#game.spent, 1), game.late, game.tick), x, y + high + 12, 15, INK)
end

function Scene.draw(game)
  love.graphics.clear(0.035, 0.042, 0.07)
  for i, court in ipairs(game.courts) do
    draw_court(court, 12 + (i - 1) % 4 * WIDE, 12 + math.floor((i - 1) / 4) * HIGH)
  end
  text("Courts", 990, 28, 26, INK)
  text("8 courts, one policy, keel in LÖVE", 990, 64, 14, DIM)
  text(("%d:%02d     %d updates"):format(game.tick / 3600, game.tick / 60 % 60, game.learner.updates), 990, 106, 20, INK)
  draw_skill(game, 990, 190, 266, 180)
  draw_ticks(game, 990, 480, 266, 130)
end

Scene.fonts = {}

return Scene
