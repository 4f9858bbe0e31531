package keel

// read takes a text of unknown length: it asks again with enough room until it fits. False where there is none.
func read(call func(buffer []byte, needed *rawSize) rawResult) (string, bool, error) {
	buffer := make([]byte, 512)
	for {
		var needed rawSize
		result := call(buffer, &needed)
		if Status(result.status) == ErrCapacity && int(needed) > len(buffer) {
			rawFree(result.message)
			buffer = make([]byte, needed)
			continue
		}
		if err := failure(result); err != nil {
			return "", false, err
		}
		if result.status > 0 {
			return "", false, nil
		}
		return string(buffer[:needed]), true, nil
	}
}

// readText is read for texts that there always are.
func readText(call func(buffer []byte, needed *rawSize) rawResult) (string, error) {
	text, _, err := read(call)
	return text, err
}
