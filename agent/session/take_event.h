// What one line adds to what is known of its session.

#ifndef MXTALLY_AGENT_SESSION_TAKE_EVENT_H_
#define MXTALLY_AGENT_SESSION_TAKE_EVENT_H_

#include "absl/time/time.h"
#include "agent/parser/event.h"
#include "agent/session/open_session.h"

namespace mxtally {

// Takes one of the session's own lines.  `open` is no tombstone.  Queue ids of
// kQueueIdAssigned are the caller's.
void TakeEvent(absl::Time time, const Event& event, OpenSession& open);

// What it takes of a line that goes out, for a tombstone that was never anything else: what
// tells the lines to swallow.  Nobody knows whether it has an ordinal of its stamp.
void TakeServer(const Event& event, OpenSession& open);

}  // namespace mxtally

#endif  // MXTALLY_AGENT_SESSION_TAKE_EVENT_H_
