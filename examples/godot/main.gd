extends Node2D
## The game: sixteen bees share one policy, which learns from all of them while they fly.
##
## godot --path . [-- --ticks N --screenshot FILE --budget US]
##
## With --ticks it ends by itself, prints a line GODOT {…}, and fails unless the bees have learned.

const Meadow := preload("res://meadow.gd")
const SECOND := 60
const EVERY := 3 ## Ticks from one decision to the next.
const SAMPLE := 10 * SECOND ## Ticks of a point of the curve.
const FRAME_US := 1_000_000 / SECOND

var meadow: Meadow = Meadow.new(7)
var slots := PackedInt32Array(range(Meadow.BEES))
var headings := PackedInt32Array()
var tick := 0
var updates := 0
var budget_us := 2000
var skill := PackedFloat32Array() ## Nectar less stings, for each bee and minute.
var frame_us := PackedInt32Array() ## Of the last frames.
var late := 0

var _ticks := 0
var _screenshot := ""
var _nectar := 0
var _stings := 0

@onready var agent: AlignedAgent = $AlignedAgent


func _ready() -> void:
	_listen()
	agent.model = {
		"config": {
			"model_type": "control", "hidden": [64, 64],
			"observations": [{"type": "vector", "name": "view", "size": Meadow.VIEW}],
			"actions": [{"type": "discrete", "name": "heading", "choices": Meadow.HEADINGS}],
		},
	}
	agent.session = {
		"algorithm": {"type": "control_ppo", "rollout_steps": 1024, "epochs": 12, "minibatches": 8, "discount": 0.97,
			"entropy_coef": 0.001},
		"optimizer": {"learning_rate": 1e-3},
	}
	agent.updated.connect(_on_updated)
	if agent.begin() < 0:
		get_tree().quit(1)
	RenderingServer.render_loop_enabled = not _screenshot


func _physics_process(delta: float) -> void:
	var begin := Time.get_ticks_usec()
	if tick % EVERY == 0:
		headings = agent.act(slots, meadow.views())
	if headings.is_empty():
		get_tree().quit(1)
		return
	meadow.step(headings, delta)
	tick += 1
	if tick % EVERY == 0:
		agent.observe(slots, meadow.take_rewards(), meadow.take_status())
	if agent.last_status() < 0 or agent.learn(budget_us) < 0:
		get_tree().quit(1)
	_measure(Time.get_ticks_usec() - begin)
	if tick == _ticks:
		_finish()


func _on_updated(_report: Dictionary) -> void:
	updates += 1


func _measure(spent_us: int) -> void:
	frame_us.append(spent_us)
	if frame_us.size() > 150:
		frame_us.remove_at(0)
	if spent_us > FRAME_US:
		late += 1
	if tick % SAMPLE == 0:
		var minutes := SAMPLE / (60.0 * SECOND)
		skill.append((meadow.nectar - _nectar - meadow.stings + _stings) / (Meadow.BEES * minutes))
		_nectar = meadow.nectar
		_stings = meadow.stings
	if _screenshot and tick == _ticks - SECOND:
		RenderingServer.render_loop_enabled = true


func _finish() -> void:
	set_physics_process(false)
	var before := skill[0]
	var after := (skill[-1] + skill[-2] + skill[-3]) / 3
	print("GODOT ", JSON.stringify({"before": snappedf(before, 0.1), "after": snappedf(after, 0.1), "late": late,
		"updates": updates, "ticks": tick}, "", false))
	if _screenshot:
		await RenderingServer.frame_post_draw
		get_viewport().get_texture().get_image().save_png(_screenshot)
	get_tree().quit(0 if after > before + 10 else 1)


func _listen() -> void:
	var arguments := OS.get_cmdline_user_args()
	for i in range(0, arguments.size() - 1, 2):
		match arguments[i]:
			"--ticks":
				_ticks = maxi(arguments[i + 1].to_int(), 4 * SAMPLE)
			"--screenshot":
				_screenshot = arguments[i + 1]
			"--budget":
				budget_us = arguments[i + 1].to_int()
