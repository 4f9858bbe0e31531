package main

/*
#cgo pkg-config: keel
#cgo noescape keel_batch_rows
#cgo nocallback keel_batch_rows
#cgo noescape keel_batch_set
#cgo nocallback keel_batch_set
#cgo noescape keel_job_poll
#cgo nocallback keel_job_poll
#cgo noescape keel_actor_act
#cgo nocallback keel_actor_act
#include <keel/keel.h>
*/
import "C"

import "unsafe"

// The same functions of keel.h through nothing but cgo, with all that makes cgo fast: arguments stay on the stack, and one
// error, made once, serves all calls.

var failure = C.keel_error{struct_size: C.sizeof_keel_error}

func bareRows(batch uint64) (int, C.keel_status) {
	var rows C.uint64_t
	status := C.keel_batch_rows(C.keel_batch(batch), &rows, &failure)
	return int(rows), status
}

var prompt = C.CString("prompt")

func bareSet(batch uint64, tokens []int32) C.keel_status {
	return C.keel_batch_set(C.keel_batch(batch), prompt, 6, C.KEEL_TYPE_I32, unsafe.Pointer(&tokens[0]), C.size_t(len(tokens)),
		nil, &failure)
}

func barePoll(job uint64) (C.keel_report, C.keel_status) {
	report := C.keel_report{struct_size: C.sizeof_keel_report}
	status := C.keel_job_poll(C.keel_job(job), &report, &failure)
	return report, status
}

func bareAct(actor uint64, slots []uint32, observations []observation, actions []action) C.keel_status {
	return C.keel_actor_act(C.keel_actor(actor), (*C.uint32_t)(&slots[0]), C.size_t(len(slots)),
		unsafe.Pointer(&observations[0]), C.size_t(len(observations)*int(unsafe.Sizeof(observations[0]))),
		unsafe.Pointer(&actions[0]), C.size_t(len(actions)*int(unsafe.Sizeof(actions[0]))),
		C.KEEL_ACT_UNRECORDED, nil, &failure)
}
