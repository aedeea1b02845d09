package placement

import "errors"

var (
	// ErrNotSent says that a request to another node did not reach anybody, and never
	// will.
	ErrNotSent = errors.New("the node did not get the request")
	// ErrLost says that it is not known what became of a request: the node that it was
	// sent to is gone.
	ErrLost = errors.New("the node that was asked is gone")
)
