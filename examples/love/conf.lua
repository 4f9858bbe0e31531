-- With --headless there is no window: love loads no module that would want one. There is no sound anyway.
function love.conf(t)
  t.identity = "keel-courts"
  t.version = "11.4"
  for _, module in ipairs { "audio", "sound", "video", "joystick", "touch" } do t.modules[module] = false end
  local headless = false
  for _, argument in ipairs(arg) do headless = headless or argument == "--headless" end
  if headless then
    t.window = nil
    for _, module in ipairs { "window", "graphics", "font", "image", "keyboard", "mouse" } do
      t.modules[module] = false
    end
  else
    t.window.title = "keel courts"
    t.window.width, t.window.height, t.window.msaa = 1280, 720, 4
  end
end
