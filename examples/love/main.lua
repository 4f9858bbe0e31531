-- Eight courts, one policy, which learns while they are played.
--
-- love . [--headless] [--ticks N] [--screenshot NAME]
--
-- With --ticks it ends by itself, prints a line LOVE {…}, and fails unless the policy has learned; with one of the others too,
-- after two minutes. A screenshot is of that moment and lies in love's save directory; with one only the last ticks are drawn.
local here = love.filesystem.getSource()
package.path = here .. "/../../bindings/lua/?.lua;" .. package.path
local Game = require "game"

local game, ticks, screenshot

local function listen(arguments)
  for i, argument in ipairs(arguments) do
    if argument == "--ticks" then ticks = tonumber(arguments[i + 1]) end
    if argument == "--screenshot" then screenshot = arguments[i + 1] end
  end
  if screenshot or not love.window then ticks = ticks or 7200 end
  if ticks then ticks = math.max(ticks, Game.LEAST) end
end

local function ended()
  local learned, line = game:verdict()
  print(line)
  return learned and 0 or 1
end

function love.load(arguments)
  listen(arguments)
  game = Game.new(love.timer.getTime)
end

-- As fast as it goes.
local function hurry(to)
  for _ = game.tick + 1, to do game:step() end
end

local function play()
  local Scene = require "scene"
  if screenshot then hurry(ticks - 150) end
  local due = love.timer.getTime()
  while true do
    love.event.pump()
    for name, a in love.event.poll() do
      if name == "quit" or (name == "keypressed" and a == "escape") then return 0 end
    end
    game:step()
    love.graphics.origin()
    Scene.draw(game)
    local over = ticks and game.tick >= ticks
    if over and screenshot then love.graphics.captureScreenshot(screenshot) end
    love.graphics.present()
    if over then return ended() end
    due = math.max(due + 1 / Game.RATE, love.timer.getTime())
    love.timer.sleep(due - love.timer.getTime())
  end
end

function love.run()
  love.load(love.arg.parseGameArguments(arg))
  return function()
    if love.window then return play() end
    hurry(ticks)
    return ended()
  end
end
