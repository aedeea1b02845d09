package proc

import "fmt"

// Apart divides the processors of this machine between what is measured and who asks, so
// that a load cannot take from a server what the server is measured by. Where there are few,
// both have all of them.
type Apart struct{ measured, asking []int }

// enough is how many processors must be there to be divided. With one alone a Go program
// is another one: its collector has no processor to work on beside the requests.
const enough = 4

// ToMeasured moves this process, and so the processes that it starts from now on, to the
// processors of what is measured.
func (a Apart) ToMeasured() error { return confine(a.measured) }

// ToAsking moves this process, and not those that it has started, to the processors of who
// asks.
func (a Apart) ToAsking() error { return confine(a.asking) }

func (a Apart) String() string {
	return fmt.Sprintf("processors %v for what is measured, %v for the load", a.measured, a.asking)
}
