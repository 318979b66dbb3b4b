#include "agent/session/reusable_connections.h"

#include <string_view>
#include <utility>

#include "agent/session/name_hash.h"

namespace mxtally {
namespace {

// Connections that are used again were used just before.
constexpr int kLooksMax = 256;

uint64_t ServerHash(std::string_view host, std::string_view address) {
  const NameHash hash;
  return MixHash(hash(host), hash(address));
}

uint64_t ServerHash(const OpenSession& session) {
  return ServerHash(session.host(), session.fields.peer.address);
}

}  // namespace

bool MayReuse(const Event& event, const OpenSession& session) {
  if (!session.reusable()) return false;
  const int uses = event.delivery.connection_uses;
  if (uses == 0 && !event.unframed) return session.IsServer(event.peer);
  if (!session.IsPeer(event.peer)) return false;
  if (event.unframed && session.facts.Has(SessionFacts::kFieldEstablished) !=
                            (event.connection_tls == DeliveryTls::kEstablished)) {
    return false;
  }
  return event.type == EventType::kServerGivenUp || uses == 0 ||
         session.connection_uses + 1 == uses;
}

std::optional<SessionHandle> FindReusable(SessionTable& table, const FramedLine& line,
                                          const Event& event) {
  const std::string_view host = KeyHost(table, line.host);
  const auto newest = table.by_server.find(ServerHash(host, event.peer.address));
  if (newest == table.by_server.end()) return std::nullopt;
  // Whose log does not count the uses has connections that no other process uses.
  const bool of_this_process = event.delivery.connection_uses == 0 && !event.unframed;
  std::optional<SessionHandle> next = newest->second;
  for (int i = 0; next.has_value() && i < kLooksMax; ++i, next = (*next)->older) {
    const SessionHandle session = *next;
    if (session->host() != host || line.time - session->last_time > table.options.rest_max ||
        (of_this_process && session->tag() != line.tag)) {
      continue;
    }
    if (MayReuse(event, *session)) return session;
  }
  return std::nullopt;
}

void Chain(SessionTable& table, SessionHandle session) {
  const auto [entry, added] = table.by_server.try_emplace(ServerHash(*session), session);
  session->chained = true;
  if (added) return;
  session->older = entry->second;
  entry->second->newer = session;
  entry->second = session;
}

void Unchain(SessionTable& table, SessionHandle session) {
  session->chained = false;
  const auto older = std::exchange(session->older, std::nullopt);
  const auto newer = std::exchange(session->newer, std::nullopt);
  if (older.has_value()) (*older)->newer = newer;
  if (newer.has_value()) {
    (*newer)->older = older;
    return;
  }
  const auto entry = table.by_server.find(ServerHash(*session));
  if (older.has_value()) {
    entry->second = *older;
  } else {
    table.by_server.erase(entry);
  }
}

}  // namespace mxtally
