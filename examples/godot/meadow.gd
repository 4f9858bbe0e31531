extends RefCounted
## The rules: bees gather nectar, each from flowers of its colour, and are to keep clear of wasps. Nothing that draws.

const SIZE := Vector2(960, 720)
const BEES := 16
const FLOWERS := 20
const COLOURS := 4 ## A bee and a flower have the colour of their index modulo this.
const WASPS := 3
const VIEW := 10 ## Numbers that a bee sees: two of its flowers, its velocity, the nearest wasp and that one's velocity.
const HEADINGS := 9 ## Eight, and none.

const SIGHT := 240.0
const REACH := 20.0
const STING := 30.0
const SPEED := 260.0
const WASP_SPEED := 70.0

var bees: Array[Vector2] = []
var velocities: Array[Vector2] = []
var flowers: Array[Vector2] = []
var wasps: Array[Vector2] = []
var wasp_velocities: Array[Vector2] = []
var nectar := 0
var stings := 0
var stung: Array[Vector2] = [] ## Where bees were stung in the last step.
var gathered: Array[Vector2] = [] ## Where flowers were in the last step.

var _rewards := PackedFloat32Array()
var _ended := PackedInt32Array()
var _distances := PackedFloat32Array()
var _random := RandomNumberGenerator.new()


func _init(seed_number: int) -> void:
	_random.seed = seed_number
	_rewards.resize(BEES)
	_ended.resize(BEES)
	_distances.resize(BEES)
	for i in FLOWERS:
		flowers.append(_somewhere())
	for i in WASPS:
		wasps.append(_somewhere())
		wasp_velocities.append(Vector2.from_angle(_random.randf() * TAU) * WASP_SPEED)
	for i in BEES:
		bees.append(_somewhere())
		velocities.append(Vector2.ZERO)
		_distances[i] = _distance(i)


## What each bee sees, VIEW numbers a bee.
func views() -> PackedFloat32Array:
	var seen := PackedFloat32Array()
	seen.resize(BEES * VIEW)
	for i in BEES:
		var near := _flower(i, -1)
		var wasp := _nearest(wasps, bees[i])
		var at := i * VIEW
		at = _put(seen, at, _seen(flowers[near] - bees[i]))
		at = _put(seen, at, _seen(flowers[_flower(i, near)] - bees[i]))
		at = _put(seen, at, velocities[i] / SPEED)
		at = _put(seen, at, _seen(wasps[wasp] - bees[i]))
		at = _put(seen, at, wasp_velocities[wasp] / SPEED)
	return seen


## One tick: headings holds a number below HEADINGS for each bee.
func step(headings: PackedInt32Array, delta: float) -> void:
	stung.clear()
	gathered.clear()
	for i in WASPS:
		_fly(wasps, wasp_velocities, i, delta)
	for i in BEES:
		var thrust := Vector2.ZERO if headings[i] == 0 or _ended[i] else Vector2.from_angle((headings[i] - 1) * TAU / 8)
		velocities[i] += (thrust * SPEED - velocities[i]) * minf(1.0, 9.0 * delta)
		_fly(bees, velocities, i, delta)
		_judge(i)


## What came of the steps since the last call, a number a bee.
func take_rewards() -> PackedFloat32Array:
	var rewards := _rewards.duplicate()
	_rewards.fill(0)
	return rewards


## Which bees were stung since the last call, as keel wants to hear it.
func take_status() -> PackedInt32Array:
	var status := _ended.duplicate()
	_ended.fill(0)
	return status


func _judge(i: int) -> void:
	var distance := _distance(i)
	_rewards[i] += (_distances[i] - distance) / SIGHT
	var near := _flower(i, -1)
	if bees[i].distance_to(flowers[near]) < REACH:
		_rewards[i] += 1.0
		nectar += 1
		gathered.append(flowers[near])
		flowers[near] = _somewhere()
		for other in BEES:
			_distances[other] = _distance(other)
	elif bees[i].distance_to(wasps[_nearest(wasps, bees[i])]) < STING:
		_rewards[i] -= 2.0
		_ended[i] = AlignedAgent.TERMINATED
		stings += 1
		stung.append(bees[i])
		bees[i] = _somewhere()
		velocities[i] = Vector2.ZERO
		_distances[i] = _distance(i)
	else:
		_distances[i] = distance


func _distance(i: int) -> float:
	return bees[i].distance_to(flowers[_flower(i, -1)])


func _somewhere() -> Vector2:
	while true:
		var place := Vector2(_random.randf_range(50, SIZE.x - 50), _random.randf_range(50, SIZE.y - 50))
		if wasps.is_empty() or place.distance_to(wasps[_nearest(wasps, place)]) > 4 * STING:
			return place
	return Vector2.ZERO


## Moves one and turns it back at the fence.
func _fly(places: Array[Vector2], speeds: Array[Vector2], i: int, delta: float) -> void:
	var place := places[i] + speeds[i] * delta
	var inside := place.clamp(Vector2(20, 20), SIZE - Vector2(20, 20))
	if place.x != inside.x:
		speeds[i].x = -speeds[i].x
	if place.y != inside.y:
		speeds[i].y = -speeds[i].y
	places[i] = inside


## The nearest flower of the bee's colour, but for one.
func _flower(bee: int, but: int) -> int:
	var best := -1
	var least := INF
	for i in range(bee % COLOURS, FLOWERS, COLOURS):
		var distance := flowers[i].distance_squared_to(bees[bee])
		if i != but and distance < least:
			least = distance
			best = i
	return best


func _nearest(places: Array[Vector2], from: Vector2) -> int:
	var best := 0
	for i in range(1, places.size()):
		if places[i].distance_squared_to(from) < places[best].distance_squared_to(from):
			best = i
	return best


func _seen(offset: Vector2) -> Vector2:
	return (offset / SIGHT).limit_length(1.5)


func _put(numbers: PackedFloat32Array, at: int, pair: Vector2) -> int:
	numbers[at] = pair.x
	numbers[at + 1] = pair.y
	return at + 2
