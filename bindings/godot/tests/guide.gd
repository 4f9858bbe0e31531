extends SceneTree
## The scripts of docs/guide/godot.md, which tools/godot lays beside this one as guide_0.gd and so on: all are compiled, and
## the first is run, as the parent of an AlignedAgent. What it prints last must show that it has learned.


func _initialize() -> void:
	var compiled := 0
	while FileAccess.file_exists("res://guide_%d.gd" % compiled):
		var script: GDScript = load("res://guide_%d.gd" % compiled)
		if script == null or not script.can_instantiate():
			quit(1)
			return
		compiled += 1
	var host := Node.new()
	host.set_script(load("res://guide_0.gd"))
	var agent := AlignedAgent.new()
	agent.name = "AlignedAgent"
	host.add_child(agent)
	root.add_child(host)
	await process_frame
	host.free()
	print("%d scripts of the guide" % compiled)
	quit(0 if compiled == 3 else 1)
