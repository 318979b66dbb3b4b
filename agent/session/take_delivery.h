// What a line of a delivery adds to what is known of a session that this host opened.

#ifndef MXTALLY_AGENT_SESSION_TAKE_DELIVERY_H_
#define MXTALLY_AGENT_SESSION_TAKE_DELIVERY_H_

#include "absl/time/time.h"
#include "agent/parser/event.h"
#include "agent/session/open_session.h"

namespace mxtally {

// Whether the line is of another recipient of the newest delivery.
bool IsSameDelivery(const Event& event, const OpenSession& open);

// kDelivery.
void TakeDelivery(absl::Time time, const Event& event, OpenSession& open);
// kServerGivenUp.
void TakeServerGivenUp(const Event& event, OpenSession& open);

// What they take for a tombstone as well: which delivery is the newest.
void FollowDelivery(const Event& event, OpenSession& open);

// What a field of the line says of the connection's TLS.
void TakeFieldTls(DeliveryTls tls, OpenSession& open);

}  // namespace mxtally

#endif  // MXTALLY_AGENT_SESSION_TAKE_DELIVERY_H_
