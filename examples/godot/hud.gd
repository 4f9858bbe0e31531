extends Node2D
## Draws what the bees can and what a frame costs.

const WIDTH := 320.0
const INK := Color("e9f2ec")
const DIM := Color("8ba396")
const LINE := Color("2a4035")

@onready var main: Node2D = get_parent()


func _process(_delta: float) -> void:
	queue_redraw()


func _draw() -> void:
	draw_rect(Rect2(0, 0, WIDTH, 720), Color("0b1713"))
	draw_line(Vector2.ZERO, Vector2(0, 720), LINE, 2)
	_text(24, 52, "Bees that learn", 26, INK)
	_text(24, 78, "16 bodies, one policy, keel in Godot", 14, DIM)
	_text(24, 130, "%d:%02d" % [main.tick / 3600, main.tick / 60 % 60], 20, INK)
	_text(110, 130, "%d updates" % main.updates, 20, INK)
	_skill(Rect2(24, 190, WIDTH - 48, 190))
	_frames(Rect2(24, 470, WIDTH - 48, 130))
	_text(24, 676, "%d of %d ticks were late" % [main.late, main.tick], 14, DIM)


func _skill(box: Rect2) -> void:
	_text(box.position.x, box.position.y - 14, "nectar less stings, a bee a minute", 14, DIM)
	var least := 0.0
	var most := 10.0
	for value: float in main.skill:
		least = minf(least, value)
		most = maxf(most, value)
	most = ceilf(most / 10) * 10
	least = floorf(least / 10) * 10
	for value in range(int(least), int(most) + 1, 10):
		var y := box.end.y - (value - least) / (most - least) * box.size.y
		draw_line(Vector2(box.position.x + 30, y), Vector2(box.end.x, y), LINE, 1)
		_text(box.position.x, y + 5, str(value), 13, DIM)
	var points := PackedVector2Array()
	for i: int in main.skill.size():
		points.append(Vector2(box.position.x + 34 + (box.size.x - 42) * i / maxf(1, main.skill.size() - 1),
			box.end.y - (main.skill[i] - least) / (most - least) * box.size.y))
	if points.size() > 1:
		draw_polyline(points, Color("f5c542"), 2.5, true)
	if points.size() > 0:
		draw_circle(points[-1], 4, Color("f5c542"), true, -1, true)
		_text(box.position.x, box.end.y + 30, "%.0f at first, %.0f now" % [main.skill[0], main.skill[-1]], 16, INK)


func _frames(box: Rect2) -> void:
	_text(box.position.x, box.position.y - 14, "work of a tick: game, act, learn %.1f ms" % (main.budget_us / 1000.0), 14, DIM)
	var top := 20_000.0
	var count: int = main.frame_us.size()
	var sum := 0
	for i in count:
		var spent: int = main.frame_us[i]
		sum += spent
		var height := minf(spent / top, 1) * box.size.y
		var x := box.end.x - (count - i) * box.size.x / 150
		draw_rect(Rect2(x, box.end.y - height, 1.4, height), Color("ff5a4a") if spent > 16_667 else Color("6fd3a3"))
	var limit := box.end.y - 16_667 / top * box.size.y
	draw_dashed_line(Vector2(box.position.x, limit), Vector2(box.end.x, limit), Color("ff8a7a"), 1, 5)
	_text(box.position.x, limit - 6, "16.7 ms", 13, Color("ff8a7a"))
	draw_line(Vector2(box.position.x, box.end.y), box.end, LINE, 1)
	_text(box.position.x, box.end.y + 26, "%.1f ms on average" % (sum / 1000.0 / maxi(count, 1)), 16, INK)


func _text(x: float, y: float, text: String, size: int, colour: Color) -> void:
	draw_string(ThemeDB.fallback_font, Vector2(x, y), text, HORIZONTAL_ALIGNMENT_LEFT, -1, size, colour)
