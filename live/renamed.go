package live

import "github.com/dibs-calls/dibs/messages"

// ClientsChanged takes how clients are called now, which this node has committed:
// the list of users and live events say so at once. Other nodes hear of it when
// they next read the truth.
func (m *Model) ClientsChanged(clients []messages.Client) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var renamed []messages.LiveCall
	for _, c := range clients {
		if p := m.state.holders[c.ID]; p != nil {
			m.since.addCall(p.call.Call) // what is being read may have the old name
		}
		summary := messages.ClientSummary{ID: c.ID, Name: c.Name, Phone: c.Phone, Email: c.Email}
		renamed = append(renamed, m.state.rename(summary)...)
	}
	m.publishRenamed(renamed)
}

// publishRenamed needs m.mu. It makes new names visible to everybody.
func (m *Model) publishRenamed(calls []messages.LiveCall) {
	m.list.version.Store(m.state.version)
	frames := make([]frame, len(calls))
	for i, c := range calls {
		frames[i] = frame{name: frameChanged, data: c}
	}
	if len(frames) > 0 {
		m.hub.add(frames...)
	}
}

// rename returns the call with the client, if there is one that shows it in
// another way now.
func (s *state) rename(c messages.ClientSummary) []messages.LiveCall {
	p := s.holders[c.ID]
	if p == nil || p.call.Client == c {
		return nil
	}
	call := *p.call
	call.Client = c
	p.call = &call
	s.changed(p)
	return []messages.LiveCall{call}
}
