package keel

import "fmt"

// Status is what keel says of a failed call. Each is an error, so that errors.Is(err, keel.ErrConfig) asks for one. Later
// versions of keel may have more of them than this package names.
type Status int32

// Error returns the name that keel.h has for the status, such as "KEEL_E_CONFIG".
func (s Status) Error() string {
	return rawStatusName(int32(s))
}

// Error is a failed call.
type Error struct {
	Status  Status // which failure
	Message string // what argument, what was expected, what was found
	Cause   error  // what a function of the host's returned or panicked with (a *Panic), or nil
}

// Error returns the name of the status, the message and the cause.
func (e *Error) Error() string {
	if e.Cause != nil {
		return fmt.Sprintf("%s: %s: %s", e.Status.Error(), e.Message, e.Cause)
	}
	return e.Status.Error() + ": " + e.Message
}

// Unwrap returns the status, and the cause where there is one.
func (e *Error) Unwrap() []error {
	if e.Cause != nil {
		return []error{e.Status, e.Cause}
	}
	return []error{e.Status}
}

// Panic is the panic of a function that keel called. It did not pass through keel.
type Panic struct {
	Value any    // what it panicked with
	Stack []byte // where, as debug.Stack has it
}

// Error says what the function panicked with.
func (p *Panic) Error() string {
	return fmt.Sprintf("panic: %v", p.Value)
}

// Unwrap returns the value where it is an error.
func (p *Panic) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}

// failure is nil unless a call failed; the message that keel allocated ends here.
func failure(result rawResult) error {
	if result.status >= 0 && Status(result.status) != ErrFull {
		return nil
	}
	return failed(result)
}

func failed(result rawResult) error {
	message := rawText(result.message)
	rawFree(result.message)
	return &Error{Status: Status(result.status), Message: message}
}

// wrong is an error that is found before keel is called, where C could only have read too far.
func wrong(status Status, format string, values ...any) error {
	return &Error{Status: status, Message: fmt.Sprintf(format, values...)}
}
