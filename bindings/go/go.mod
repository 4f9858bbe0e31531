module keel

go 1.24
