extends SceneTree
## The extension in the engine itself: godot --headless --script engine.gd. What the small host cannot show: typed and
## untyped calls of GDScript, dictionaries, signals, physics frames. Prints how many checks passed, and what a call costs.

const MODEL := {"config": {"model_type": "control", "hidden": [16],
	"observations": [{"type": "vector", "name": "place", "size": 4}],
	"actions": [{"type": "discrete", "name": "way", "choices": 2}]}}
const SESSION := {"algorithm": {"type": "control_ppo", "rollout_steps": 64, "minibatches": 4},
	"optimizer": {"learning_rate": 0.01}}
const CALLS := 20_000

var passed := 0
var failed := 0
var reports: Array[Dictionary] = []


func _initialize() -> void:
	_wrong_use()
	_properties()
	_saving()
	await _frames()
	_costs(1)
	_costs(16)
	print("%d passed, %d failed" % [passed, failed])
	quit(0 if failed == 0 and passed > 20 else 1)


func _check(right: bool, what: String) -> void:
	if right:
		passed += 1
	else:
		failed += 1
		print("not so: ", what)


func _begun() -> AlignedAgent:
	var agent := AlignedAgent.new()
	agent.model = MODEL
	agent.session = SESSION
	_check(agent.begin() == AlignedAgent.OK, "begin: " + agent.last_error())
	return agent


func _wrong_use() -> void:
	var agent := AlignedAgent.new()
	_check(agent.act([0], [0, 0, 0, 0]).is_empty(), "it acts before it has begun")
	_check(agent.last_status() < 0 and agent.last_error().contains("not begun"), agent.last_error())
	agent.session = {"algorithm": {"type": "control_pp0"}}
	_check(agent.begin() < 0 and agent.last_error().contains("/algorithm"), agent.last_error())
	agent.free()
	agent = _begun()
	_check(agent.act([0, 1], [0, 0, 0, 0]).is_empty(), "it takes one observation for two slots")
	_check(agent.act_continuous([0], [0, 0, 0, 0]).is_empty(), "its actions are discrete and continuous")
	_check(agent.observe([0], [1], [0]) < 0, "it observes what has not acted")
	_check(agent.call("act", [0], [0, 0, 0, 0]) is PackedInt32Array, "arrays without a type are taken")
	_check(agent.call("act", "a", 3, {}) == null, "it takes a text for slots")
	_check(agent.call("act") == null, "it acts without arguments")
	_check(agent.observe([0], [NAN], [0]) < 0, "it takes NaN for a reward")
	_check(agent.observe([0], [1], [AlignedAgent.TERMINATED]) == AlignedAgent.OK, agent.last_error())
	agent.free()


func _properties() -> void:
	var agent := AlignedAgent.new()
	agent.model = JSON.parse_string(JSON.stringify(MODEL))
	agent.session = JSON.parse_string(JSON.stringify(SESSION))
	_check(agent.begin() == AlignedAgent.OK, "a configuration from JSON: " + agent.last_error())
	agent.free()
	agent = _begun()
	_check(agent.model == MODEL and agent.session == SESSION, "properties change")
	_check(agent.metrics()["updates"] == 0, "metrics are no Dictionary")
	_check(agent.layout()["observation"]["bytes"] == 16, "the layout is no Dictionary")
	_check(agent.configure({"optimizer": {"learning_rate": 0.005}}) == AlignedAgent.OK, agent.last_error())
	_check(agent.configure({"threads": 9}) < 0, "threads change")
	agent.free()


func _saving() -> void:
	var agent := _begun()
	_check(agent.save("user://agent.keel") == AlignedAgent.OK, agent.last_error())
	var other := AlignedAgent.new()
	_check(other.open("user://nothing.keel") < 0, "it opens what is not there")
	_check(other.open("user://agent.keel") == AlignedAgent.OK, other.last_error())
	_check(other.act([0], [1, 2, 3, 4]) == agent.act([0], [1, 2, 3, 4]), "another agent was opened")
	other.free()
	agent.free()


## A node in the tree that learns by itself in physics frames, another one on a thread beside the game.
func _frames() -> void:
	var agent := _begun()
	var other := _begun()
	root.add_child(agent)
	agent.updated.connect(func(report: Dictionary) -> void: reports.append(report))
	other.updated.connect(func(report: Dictionary) -> void: reports.append(report))
	agent.budget_us = 1000
	for step in 80:
		for one: AlignedAgent in [agent, other]:
			one.act([0], [step, 0, 0, 0])
			one.observe([0], [1], [AlignedAgent.RUNNING])
	var waited := 0
	while reports.size() < 2 and waited < 2000:
		if other.learn_beside() < 0:
			break
		await physics_frame
		waited += 1
	_check(reports.size() >= 2 and reports[0]["optimizer_steps"] > 0, "%d updates after %d frames" % [reports.size(), waited])
	for step in 80:
		other.act([0], [step, 0, 0, 0])
		other.observe([0], [1], [AlignedAgent.RUNNING])
	other.learn_beside()
	other.free()
	agent.queue_free()
	await physics_frame


func _costs(count: int) -> void:
	var agent := _begun()
	var slots := PackedInt32Array(range(count))
	var observations := PackedFloat32Array()
	observations.resize(4 * count)
	var begin := Time.get_ticks_usec()
	for i in CALLS:
		agent.act(slots, observations, AlignedAgent.UNRECORDED)
	var acted := Time.get_ticks_usec() - begin
	begin = Time.get_ticks_usec()
	for i in CALLS:
		agent.last_status()
	print("COST {\"slots\": %d, \"act_ns\": %d, \"call_ns\": %d}" % [
		count, acted * 1000 / CALLS, (Time.get_ticks_usec() - begin) * 1000 / CALLS])
	agent.free()
