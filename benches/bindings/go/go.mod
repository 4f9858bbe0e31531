module bench

go 1.24

require keel v0.0.0

replace keel => ../../../bindings/go
