extends Node2D
## Draws the meadow.

const Meadow := preload("res://meadow.gd")
const TRAIL := 24
const PETALS: Array[Color] = [Color("f2a2c4"), Color("c9a0f0"), Color("8fc7f5"), Color("f5b58a")]

var _trails: Array[PackedVector2Array] = []
var _marks: Array[Array] = [] ## Place, colour, age of what just happened.

@onready var main: Node2D = get_parent()


func _ready() -> void:
	for i in Meadow.BEES:
		_trails.append(PackedVector2Array())


func _physics_process(_delta: float) -> void:
	var meadow: Meadow = main.meadow
	for i in Meadow.BEES:
		var trail := _trails[i]
		if not trail.is_empty() and trail[-1].distance_to(meadow.bees[i]) > 40:
			trail.clear()
		trail.append(meadow.bees[i])
		if trail.size() > TRAIL:
			trail.remove_at(0)
		_trails[i] = trail
	for place in meadow.gathered:
		_marks.append([place, Color("ffe9a8"), 0])
	for place in meadow.stung:
		_marks.append([place, Color("ff5a4a"), 0])
	for mark in _marks:
		mark[2] += 1
	_marks = _marks.filter(func(mark: Array) -> bool: return mark[2] < 36)
	queue_redraw()


func _draw() -> void:
	var meadow: Meadow = main.meadow
	draw_rect(Rect2(Vector2.ZERO, Meadow.SIZE), Color("12291f"))
	for x in range(0, 960, 60):
		draw_line(Vector2(x, 0), Vector2(x, 720), Color(1, 1, 1, 0.018), 1)
	for y in range(0, 720, 60):
		draw_line(Vector2(0, y), Vector2(960, y), Color(1, 1, 1, 0.018), 1)
	for i in meadow.flowers.size():
		_flower(meadow.flowers[i], PETALS[i % Meadow.COLOURS])
	for mark in _marks:
		var faded: Color = mark[1]
		faded.a = 1.0 - mark[2] / 36.0
		draw_arc(mark[0], 10 + mark[2], 0, TAU, 32, faded, 2, true)
	for i in Meadow.WASPS:
		_wasp(meadow.wasps[i], meadow.wasp_velocities[i].angle())
	for i in Meadow.BEES:
		_trail(_trails[i], PETALS[i % Meadow.COLOURS])
	for i in Meadow.BEES:
		_bee(meadow.bees[i], meadow.velocities[i].angle(), PETALS[i % Meadow.COLOURS])


func _flower(place: Vector2, petal: Color) -> void:
	draw_circle(place, 26, Color(petal, 0.08), true, -1, true)
	for i in 6:
		draw_circle(place + Vector2.from_angle(i * TAU / 6) * 9, 6.5, petal, true, -1, true)
	draw_circle(place, 6, Color("ffd75e"), true, -1, true)


func _trail(trail: PackedVector2Array, colour: Color) -> void:
	for i in range(1, trail.size()):
		draw_line(trail[i - 1], trail[i], Color(colour, 0.5 * i / TRAIL), 2.0, true)


func _bee(place: Vector2, angle: float, colour: Color) -> void:
	draw_set_transform(place, angle)
	draw_circle(Vector2(-2, -7), 5.5, Color(colour, 0.85), true, -1, true)
	draw_circle(Vector2(-2, 7), 5.5, Color(colour, 0.85), true, -1, true)
	draw_circle(Vector2(-4, 0), 6.0, Color("f5c542"), true, -1, true)
	draw_circle(Vector2(3, 0), 5.5, Color("f5c542"), true, -1, true)
	draw_line(Vector2(-4, -5.5), Vector2(-4, 5.5), Color("2b2115"), 2.4, true)
	draw_line(Vector2(1, -5), Vector2(1, 5), Color("2b2115"), 2.4, true)
	draw_circle(Vector2(7, 0), 3.2, Color("2b2115"), true, -1, true)
	draw_set_transform(Vector2.ZERO)


func _wasp(place: Vector2, angle: float) -> void:
	draw_circle(place, Meadow.STING, Color(1, 0.25, 0.2, 0.12), true, -1, true)
	draw_arc(place, Meadow.STING, 0, TAU, 48, Color(1, 0.35, 0.28, 0.6), 1.5, true)
	draw_set_transform(place, angle)
	for side: int in [-1, 1]:
		draw_circle(Vector2(-1, side * 8), 6, Color(1, 0.8, 0.75, 0.35), true, -1, true)
	for i in 5:
		draw_circle(Vector2(-13 + 5 * i, 0), 3.0 + 1.1 * i, Color("ff5a4a") if i % 2 == 0 else Color("4a1210"), true, -1, true)
	draw_circle(Vector2(12, 0), 4.5, Color("4a1210"), true, -1, true)
	draw_set_transform(Vector2.ZERO)
