#include "agent/session/session_life.h"

#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/session/tls_decision.h"

namespace mxtally {
namespace {

// Memory of so many ended sessions is kept for the next ones.
constexpr size_t kSpareSessionsMax = 64;

void ForgetQueueIds(SessionTable& table, const OpenSession& session) {
  for (const std::string& id : session.open_queue_ids) {
    table.by_queue_id.erase(IdName(table, session.host(), id));
  }
}

void Recycle(SessionTable& table, SessionList& list, SessionHandle session) {
  if (table.spare.size() >= kSpareSessionsMax) {
    list.erase(session);
    return;
  }
  session->Clear();
  table.spare.splice(table.spare.begin(), list, session);
}

// Hands on the record that a live session would make if no line came any more.
void Tell(SessionTable& table, SessionHandle session) {
  OpenSession copy = *session;
  copy.End(session->may_have_ended() ? v1::END_REASON_UNSPECIFIED : v1::END_REASON_IDLE,
           &session->process->service);
  if (copy.AwaitsQueueIds() || !table.observer.OnSilentSession(copy.Finish(table.peers))) return;
  session->facts.Add(SessionFacts::kTold);
  table.told.splice(table.told.end(), table.live, session);
}

// Few are silent for so long and cannot be told.
void TellSilent(SessionTable& table, absl::Time now) {
  for (auto next = table.live.begin(); next != table.live.end();) {
    const SessionHandle session = next++;
    if (now - session->last_time <= table.options.inbound_rest_max) return;
    if (session->may_be_told()) Tell(table, session);
  }
}

// Makes the record of a session that waits for nothing any more.
void Emit(SessionTable& table, SessionList& list, SessionHandle ended) {
  ForgetQueueIds(table, *ended);
  const Session& session = ended->Finish(table.peers);
  if (ended->tls_not_logged() && session.peer_class == v1::PEER_CLASS_EXTERNAL) {
    table.observer.OnTlsNotLogged();
  }
  table.observer.OnSession(session);
  Recycle(table, list, ended);
}

void MakeRoom(SessionTable& table, absl::Time time) {
  while (SessionCount(table) >= table.options.open_sessions_max && GiveUpOne(table, time)) {
  }
}

// Postfix hands on without a line what failed a test that is to be ignored, of which there
// is a line: a connection that has none but its first was not handed on.
template <typename Predicate>
void Abort(SessionTable& table, Predicate is_aborted) {
  for (auto next = table.screening.begin(); next != table.screening.end();) {
    const SessionHandle session = next++;
    if (!is_aborted(*session)) continue;
    if (session->fields.rank.lines_used > 1) {
      Forget(table, session);
      continue;
    }
    session->facts.Remove(SessionFacts::kMayBeHandedOn);
    table.live.splice(table.live.end(), table.screening, session);
  }
  for (auto next = table.live.begin(); next != table.live.end();) {
    const SessionHandle session = next++;
    if (is_aborted(*session)) End(table, session, v1::END_REASON_ABORTED);
  }
}

}  // namespace

void MoveTo(SessionTable& table, absl::Time stamp) {
  if (!table.reading_start.has_value()) table.reading_start = stamp;
  const std::optional<absl::Time> before = table.clock.state().now;
  if (!table.clock.Take(stamp)) return;
  const absl::Time now = table.clock.now();
  if (before.has_value() && *before - now > table.options.ordinal_memory - kClockStep) {
    table.processes.ForgetAfter(now);
  }
  const auto expire = [&table, now](SessionList& list) {
    while (!list.empty() && now - list.front().last_time > SilenceMax(table, list.front())) {
      Expire(table, list.begin());
    }
  };
  expire(table.live);
  TellSilent(table, now);
  expire(table.told);
  expire(table.held);
  expire(table.resting);
  expire(table.screening);
  expire(table.tombstones);
}

bool Expire(SessionTable& table, SessionHandle session) {
  if (session->ended) {
    Emit(table, table.held, session);
  } else if (session->tombstone || session->may_be_handed_on()) {
    Forget(table, session);
  } else if (session->resting() || session->may_have_ended()) {
    End(table, session, v1::END_REASON_UNSPECIFIED);
  } else {
    return GiveUp(table, session, v1::END_REASON_IDLE, session->last_time + table.options.idle_max);
  }
  return false;
}

std::optional<SessionHandle> FindByConnection(SessionTable& table, const FramedLine& line,
                                              std::string_view connection) {
  const auto found = table.by_connection.find(IdName(table, KeyHost(table, line.host), connection));
  if (found == table.by_connection.end()) return std::nullopt;
  return Unexpired(table, found->second, line.time);
}

bool StartsSession(EventType type) {
  switch (type) {
    case EventType::kConnect:
    case EventType::kConnecting:
    case EventType::kDisconnect:
    case EventType::kTlsEstablished:
    case EventType::kTlsSetup:
    case EventType::kTlsFailed:
    case EventType::kTlsRefusedAfterHandshake:
    case EventType::kTlsRefusedBeforeHandshake:
    case EventType::kAbnormalEnd:
    case EventType::kQueueIdAssigned:
    case EventType::kTransaction:
    case EventType::kMessageAccepted:
    case EventType::kReject:
    case EventType::kAuthAccepted:
    case EventType::kAuthFailed:
    case EventType::kLimit:
    case EventType::kClosed:
    case EventType::kDelivery:
    case EventType::kServerGivenUp:
      return true;
    case EventType::kHandedOn:
    case EventType::kConnected:
    case EventType::kCertificateChecked:
    case EventType::kTlsLibraryProblem:
    case EventType::kTlsReport:
    case EventType::kSessionNote:
    case EventType::kQueueIdActive:
    case EventType::kQueueIdCanceled:
    case EventType::kProcessDying:
    case EventType::kProcessDied:
    case EventType::kInstanceBoundary:
      return false;
  }
  return false;
}

SessionHandle Begin(SessionTable& table, const FramedLine& line, const Event& event, Start start,
                    Process* process) {
  const bool cut = start == Start::kCut;
  if (cut) table.observer.OnCutSession();
  MakeRoom(table, line.time);
  if (table.spare.empty()) table.spare.emplace_back();
  const SessionHandle session = table.spare.begin();

  if (process == nullptr) process = &FindOrAddProcess(table, line);
  session->process = process;
  uint32_t ordinal = 0;
  if (event.connection.empty()) {
    process->session = session;
  } else {
    ++process->connections;
  }
  if (!cut) {
    int64_t forgotten = 0;
    ordinal = table.processes.NextOrdinal(*process, line.time, table.clock.now(), forgotten);
    for (; forgotten > 0; --forgotten) table.observer.OnForgottenOrdinal();
  }
  session->Begin(KeyHost(table, line.host), process->tag, line.time, ordinal,
                 start == Start::kUncertain);
  if (!event.connection.empty()) {
    session->connection.assign(event.connection);
    table.by_connection.insert_or_assign(IdName(table, session->host(), event.connection), session);
  }
  if (cut) {
    session->BecomeTombstone(line.time);
    if (event.outbound) TakeServer(event, *session);
  } else {
    session->TakeService(event, process->service);
    if (event.may_be_handed_on) session->facts.Add(SessionFacts::kMayBeHandedOn);
  }
  SessionList& list = ListOf(table, session);
  list.splice(list.end(), table.spare, session);
  return session;
}

void SwallowLine(SessionTable& table, SessionHandle tombstone, absl::Time time, EventType type) {
  if (type == EventType::kDisconnect || type == EventType::kProcessDying) {
    Forget(table, tombstone);
    return;
  }
  tombstone->last_time = time;
  table.tombstones.splice(table.tombstones.end(), table.tombstones, tombstone);
}

void AddQueueId(SessionTable& table, SessionHandle session, std::string_view id) {
  const bool room = static_cast<int64_t>(table.by_queue_id.size()) < table.options.queue_ids_max;
  if (!session->AddQueueId(id, room)) return;
  auto [entry, added] = table.by_queue_id.try_emplace(IdName(table, session->host(), id), session);
  if (added) return;
  // Queue ids are used again: this one is another message by now.
  const SessionHandle former = std::exchange(entry->second, session);
  former->ResolveQueueId(id, /*confirmed=*/false);
  if (former->ended && !former->AwaitsQueueIds()) Emit(table, table.held, former);
}

void ResolveQueueId(SessionTable& table, const FramedLine& line, std::string_view id,
                    bool confirmed) {
  const auto entry = table.by_queue_id.find(IdName(table, KeyHost(table, line.host), id));
  if (entry == table.by_queue_id.end()) return;
  const SessionHandle session = entry->second;
  if (session->ended && line.time - session->last_time > table.options.confirmation_max) {
    Emit(table, table.held, session);
    return;
  }
  table.by_queue_id.erase(entry);
  session->ResolveQueueId(id, confirmed);
  if (session->ended && !session->AwaitsQueueIds()) Emit(table, table.held, session);
}

void End(SessionTable& table, SessionHandle session, v1::EndReason reason) {
  if (session->connecting() || session->told()) {
    Forget(table, session);
    return;
  }
  RemoveReusable(table, session);
  SessionList& list = ListOf(table, session);
  if (session->outbound() && DependsOnTlsLogging(session->facts) &&
      table.tls_logging.Shows(session->host(), session->tag(),
                              session->last_time - table.options.tls_logging_memory)) {
    session->facts.Add(SessionFacts::kTlsWouldShow);
  }
  session->End(reason, session->process != nullptr ? &session->process->service : nullptr);
  Release(table, session);
  if (session->AwaitsQueueIds()) {
    table.held.splice(table.held.end(), list, session);
  } else {
    Emit(table, list, session);
  }
}

bool GiveUp(SessionTable& table, SessionHandle session, v1::EndReason reason,
            absl::Time tombstone_time) {
  if (session->connecting()) {
    Forget(table, session);
    return false;
  }
  ForgetQueueIds(table, *session);
  SessionList& list = ListOf(table, session);
  if (!session->told()) {
    session->End(reason, &session->process->service);
    table.observer.OnSession(session->Finish(table.peers));
  }
  table.observer.OnEvictedSession();
  session->BecomeTombstone(tombstone_time);
  table.tombstones.splice(table.tombstones.end(), list, session);
  return true;
}

void Forget(SessionTable& table, SessionHandle session) {
  ForgetQueueIds(table, *session);
  Release(table, session);
  Recycle(table, ListOf(table, session), session);
}

void Release(SessionTable& table, SessionHandle session) {
  if (session->process == nullptr) return;
  Process& process = *std::exchange(session->process, nullptr);
  if (session->connection.empty()) {
    table.processes.Free(process);
    return;
  }
  if (process.session == session) process.session.reset();
  const auto named = table.by_connection.find(IdName(table, session->host(), session->connection));
  // Unless another has taken the name since.
  if (named != table.by_connection.end() && named->second == session) {
    table.by_connection.erase(named);
  }
  table.processes.FreeConnection(process);
}

void Leave(SessionTable& table, SessionHandle session, v1::EndReason reason) {
  if (session->tombstone || session->may_be_handed_on()) {
    Forget(table, session);
  } else if (session->resting()) {
    Release(table, session);
  } else {
    End(table, session, reason);
  }
}

// The master tells neither instance nor service, but no two processes of a
// host have one id.
void AbortProcess(SessionTable& table, const FramedLine& line, const Event& event) {
  const std::string suffix =
      absl::StrCat("/", std::string(event.program_name), "[", event.pid, "]");
  const std::string_view host = KeyHost(table, line.host);
  Abort(table, [&](const OpenSession& session) {
    return session.tag().ends_with(suffix) && session.host() == host;
  });
}

void AbortInstance(SessionTable& table, const FramedLine& line) {
  // "postfix/" of "postfix/master", else "smtpd[".
  const size_t slash = line.program.rfind('/');
  const std::string prefix = slash == std::string_view::npos
                                 ? std::string(line.program) + "["
                                 : std::string(line.program.substr(0, slash + 1));
  const std::string_view host = KeyHost(table, line.host);
  Abort(table, [&](const OpenSession& session) {
    return session.tag().starts_with(prefix) && session.host() == host;
  });
}

bool GiveUpOne(SessionTable& table, absl::Time time) {
  for (SessionList* list :
       {&table.tombstones, &table.told, &table.screening, &table.held, &table.resting}) {
    if (list->empty()) continue;
    // Its record lacks what further lines would have told.
    if (list == &table.held || list == &table.resting) table.observer.OnEvictedSession();
    Expire(table, list->begin());
    return true;
  }
  if (table.live.empty()) return false;
  GiveUp(table, table.live.begin(), v1::END_REASON_EVICTED, time);
  return true;
}

int64_t SessionCount(const SessionTable& table) {
  return static_cast<int64_t>(table.live.size() + table.told.size() + table.screening.size() +
                              table.tombstones.size() + table.held.size() + table.resting.size());
}

}  // namespace mxtally
