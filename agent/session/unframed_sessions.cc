#include "agent/session/unframed_sessions.h"

#include <optional>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "agent/session/reusable_connections.h"
#include "agent/session/session_life.h"

namespace mxtally {
namespace {

using enum SessionFacts::Fact;

// Lines of one transaction's recipients.
constexpr absl::Duration kTransactionMax = absl::Seconds(5);

bool GoesOnOutbound(const OpenSession& session, absl::Time time, const Event& event) {
  // Lines about one transaction are written at a time; later ones are of a retry.
  if (!session.IsPeer(event.peer) || time - session.last_time > kTransactionMax) return false;
  if (session.closed()) return false;
  if (event.type == EventType::kServerGivenUp) return !session.facts.Has(kOutcome);
  const bool sent = event.type == EventType::kDelivery && event.delivery.sent;
  if (!sent || event.delivery.further_recipient) return true;
  // A further transaction has a connection of its own.
  return !session.facts.Has(kMessageCounted | kTlsFailed);
}

bool GoesOnInbound(const OpenSession& session, std::string_view tag, const Event& event) {
  if (session.tombstone) return true;
  // Up to Exim 4.96 another process than the client's tells of the beginning.
  if (!session.connection.empty() && !session.facts.Has(kFramed) && session.tag().ends_with(']') &&
      tag.ends_with(']') && session.tag() != tag) {
    return false;
  }
  switch (event.type) {
    case EventType::kTlsFailed:
      // The MTA ends the connection then.
      return !session.facts.Has(kTlsFailed | kClosed);
    case EventType::kDisconnect:
      return !session.facts.Has(kTlsFailed) || (event.connection_tls != DeliveryTls::kEstablished &&
                                                event.connection_tls != DeliveryTls::kPlaintext);
    case EventType::kClosed:
    case EventType::kSessionNote:
      return true;
    default:
      return !session.closed();
  }
}

// Whether the line goes on with the session that its connection, its process or its
// message names.  `tag`: the line's own.
bool GoesOn(const OpenSession& session, absl::Time time, std::string_view tag, const Event& event) {
  if (event.type == EventType::kConnect || event.outbound != session.outbound()) return false;
  // Process ids and ports come again.
  const std::string& address = session.fields.peer.address;
  if (!address.empty() && event.has_peer && event.peer.address != address) return false;
  return event.outbound ? GoesOnOutbound(session, time, event) : GoesOnInbound(session, tag, event);
}

std::optional<SessionHandle> Find(SessionTable& table, const FramedLine& line, const Event& event,
                                  Process*& idle) {
  if (event.outbound && event.delivery.connection_uses == 0) {
    return FindReusable(table, line, event);
  }
  const std::optional<SessionHandle> session =
      event.connection.empty() ? FindByProcess(table, line, idle)
                               : FindByConnection(table, line, event.connection);
  if (!session.has_value() || GoesOn(**session, line.time, line.tag, event)) return session;
  Leave(table, *session);
  return std::nullopt;
}

// A message may have come over a connection of before the reading. It is taken for the first:
// to leave out all that come in the first minutes would be worse than to count a connection
// twice, of which a reading that began elsewhere has seen the beginning.
bool CoversUnframed(const SessionTable& table, absl::Time time, const Event& event) {
  if (event.type == EventType::kConnect) return true;
  if (event.connection_age_seconds >= 0) {
    return time - absl::Seconds(event.connection_age_seconds) >= *table.reading_start;
  }
  if (Covers(table, time)) return true;
  if (event.outbound) {
    return event.delivery.connection_uses > 0 && !event.delivery.further_recipient;
  }
  // The line of its beginning is logged where that of its end is.
  return event.type != EventType::kClosed || event.connection.empty();
}

Start StartOf(const SessionTable& table, absl::Time time, const Event& event) {
  if (!CoversUnframed(table, time, event)) return Start::kCut;
  // A client's earlier messages over this connection may be missing: then it has another key.
  const bool may_have_begun = event.type != EventType::kConnect && !event.outbound &&
                              event.connection_age_seconds < 0 &&
                              time - *table.reading_start <= table.options.inbound_rest_max;
  return time == table.reading_start || may_have_begun ? Start::kUncertain : Start::kRead;
}

// Adds the process, which the message may name, to a tag that has none.  The tag is in
// `memory` then.
FramedLine WithProcess(const FramedLine& header, const Event& event, std::string& memory) {
  FramedLine line = header;
  const int64_t pid = header.pid >= 0 ? header.pid : event.pid;
  if (pid < 0 || line.tag.size() != line.program.size()) return line;
  memory.assign(line.tag).append(absl::StrCat("[", pid, "]"));
  line.tag = memory;
  line.pid = pid;
  return line;
}

}  // namespace

void AddUnframedLine(SessionTable& table, const FramedLine& header, const Event& event) {
  std::string tag;
  const FramedLine line = WithProcess(header, event, tag);
  Process* idle = nullptr;
  std::optional<SessionHandle> found = Find(table, line, event, idle);
  if (!found.has_value()) {
    // A remark that shows TLS may be all that is logged of a client.
    const bool shows_client = !event.outbound && event.connection_tls == DeliveryTls::kEstablished;
    if (!StartsSession(event.type) && !shows_client) return;
    found = Begin(table, line, event, StartOf(table, line.time, event), idle);
  }
  const SessionHandle session = *found;
  if (session->tombstone) {
    SwallowLine(table, session, line.time, event.type);
    return;
  }
  TakeLine(table, session, line.time, event);
  if (event.type == EventType::kDisconnect) End(table, session, v1::END_REASON_DISCONNECT);
}

}  // namespace mxtally
