#include "agent/session/assembler.h"

#include <algorithm>
#include <list>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/parser/log_clock.h"
#include "agent/session/name_hash.h"
#include "agent/session/open_session.h"
#include "agent/session/process_table.h"
#include "agent/session/proto_time.h"
#include "agent/session/text.h"

namespace mxtally {
namespace {

// Sessions are found idle, and ordinals old, with this much delay at most.
constexpr absl::Duration kClockStep = absl::Seconds(10);

// Memory of so many ended sessions is kept for the next ones.
constexpr size_t kSpareSessionsMax = 64;

// Whether a line without an open session starts one without its beginning.
// The others come before "connect from", or tell nothing by themselves.
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

// Whether the line is always a session's first.
bool IsBeginning(EventType type) {
  return type == EventType::kConnect || type == EventType::kConnecting;
}

// Whether the line can be of a connection that was used before and is not known.
bool MayGoOnWithConnection(const Event& event) {
  if (event.type != EventType::kServerGivenUp || !event.has_peer) return false;
  switch (event.delivery.trouble) {
    case DeliveryTrouble::kOther:
    case DeliveryTrouble::kLostConnection:
    case DeliveryTrouble::kTimeout:
      return event.place != "CONNECT" && !event.place.ends_with("LO");
    default:
      return false;
  }
}

const PeerClassifier& NothingExcluded() {
  static const PeerClassifier* const classifier = new PeerClassifier;
  return *classifier;
}

}  // namespace

// Sessions are nodes of six lists; a node moves between them and never in
// memory.  Every list is in the order in which its sessions came to its end, so
// that only its head is looked at as log time moves on.
//
//   live        least recently used first; their process serves them
//   tombstones  only swallow late lines; their process is not free either
//   held        ended, but waiting for queue ids; their process is free again
//   resting     without an end that the log need tell; lines may go on with them
//   screening   may be handed on, or were by the last line of their process
//   spare       memory for the next sessions
//
// Resting sessions are chained, too, by server: a delivery finds the connection it was
// made over.
struct Assembler::Impl {
  using List = SessionList;
  using Handle = List::iterator;

  Impl(AssemblerOptions given, AssemblerObserver& observer)
      : options(std::move(given)),
        peers(options.peers != nullptr ? *options.peers : NothingExcluded()),
        observer(observer),
        clock(kClockStep, options.idle_max),
        processes(options.ordinal_memory, options.ordinals_max) {
    AppendKeyHost(options.host, own_host);
  }

  // The host of a line's keys.  Valid until the next line's.
  std::string_view KeyHost(std::string_view host);
  // The same in names of processes: empty when all lines are one host's.
  std::string_view NameHost(std::string_view host) {
    return own_host.empty() ? KeyHost(host) : std::string_view();
  }
  // A queue id, or what names a connection: alone for the first host that asks, else behind
  // the key's host and a blank, which neither can hold.  Valid until the next call.
  std::string_view IdName(std::string_view host, std::string_view id);
  // The process that wrote the line; null when nothing is known of it.
  Process* FindProcess(const FramedLine& line);
  Process& FindOrAddProcess(const FramedLine& line);

  void MoveTo(absl::Time stamp);
  void AddOwnLine(const FramedLine& line, const Event& event);
  // The session, if any, that the line goes on with.
  std::optional<Handle> Find(Handle session, absl::Time time);
  std::optional<Handle> FindByConnection(const FramedLine& line, const Event& event);
  // `process` wrote the line; null if it is not known.
  std::optional<Handle> Start(const FramedLine& line, const Event& event, Process* process);
  // Takes a node for a session; a cut one is a tombstone.
  Handle Begin(const FramedLine& line, const Event& event, bool cut, bool uncertain,
               Process* process);
  // The session has no use for its process any more, nor for its connection's name.
  void Release(Handle session);
  // The process wrote another line than the one that would take back what its last one said.
  void DropHandedOn(const FramedLine& line, const Event& event);
  void Drop(Handle screened);
  List& ListOf(Handle session);
  void SwallowLine(Handle tombstone, absl::Time time, EventType type);
  bool Covers(absl::Time time) const;
  bool CoversConnection(absl::Time time, const Event& event) const;

  void AddUnframedLine(const FramedLine& header, const Event& event);
  std::optional<Handle> FindUnframed(const FramedLine& line, const Event& event);
  Handle StartUnframed(const FramedLine& line, const Event& event);
  bool CoversUnframed(absl::Time time, const Event& event) const;
  absl::Duration RestMax(const OpenSession& session) const;

  void AddOutboundLine(const FramedLine& line, const Event& event);
  void TakeOutboundLine(Handle session, absl::Time time, const Event& event);
  bool CoversOutbound(absl::Time time, const Event& event) const;
  // The connection that the line goes on with, if any.
  std::optional<Handle> FindConnection(const FramedLine& line, const Event& event);
  // The process goes on with another session.
  void Leave(Handle session);
  void FinishResting(Handle session, v1::EndReason reason = v1::END_REASON_UNSPECIFIED);
  void AddConnection(Handle session);
  void RemoveConnection(Handle session);

  void AddQueueId(Handle session, std::string_view id);
  void ResolveQueueId(const FramedLine& line, std::string_view id, bool confirmed);
  void AbortProcess(const FramedLine& line, const Event& event);
  template <typename Predicate>
  void Abort(Predicate is_aborted);
  void AbortInstance(const FramedLine& line);

  static const Service& ServiceOf(Process& process);
  void End(Handle session, v1::EndReason reason);
  void GiveUp(Handle session, v1::EndReason reason, absl::Time tombstone_time);
  void Emit(List& list, Handle session);
  void DropTombstone(Handle tombstone);
  void Recycle(List& list, Handle session);
  void MakeRoom(absl::Time time);
  // False if there is nothing to give up.
  bool GiveUpOne(absl::Time time);
  // Forgets sessions that began at `stamp` or later, and their ordinals.
  void DropFrom(absl::Time stamp);

  const AssemblerOptions options;
  const PeerClassifier& peers;
  AssemblerObserver& observer;
  std::string own_host;  // `options.host` as in keys; empty: each line's.

  List live, tombstones, held, resting, screening, spare;
  // Queue ids open in sessions that are live or held.
  NameMap<Handle> by_queue_id;
  // Live sessions and tombstones whose lines name their connection.
  NameMap<Handle> by_connection;
  // By host and server: the resting session that was used last.
  absl::flat_hash_map<uint64_t, Handle> connections;
  LogClock clock;
  ProcessTable processes;
  // Stamp of the first line since the newest gap.
  std::optional<absl::Time> reading_start;

  std::string id_name, key_tag, process_tag;
  // Of the last line: most lines are of one host.
  std::string header_host, key_host;
  // Of IdName().
  std::string first_host;
};

std::string_view Assembler::Impl::KeyHost(std::string_view host) {
  if (!own_host.empty()) return own_host;
  if (host == header_host && !key_host.empty()) return key_host;
  header_host = host;
  key_host.clear();
  // Exim's own files name no host.
  AppendKeyHost(host.empty() ? "localhost" : host, key_host);
  return key_host;
}

std::string_view Assembler::Impl::IdName(std::string_view host, std::string_view id) {
  if (!own_host.empty()) return id;
  if (first_host.empty()) first_host = host;
  if (first_host == host) return id;
  id_name.assign(host).append(" ").append(id);
  return id_name;
}

// Names are in the form of keys, as the tags of nearly all lines are.
Process* Assembler::Impl::FindProcess(const FramedLine& line) {
  const std::string_view host = NameHost(line.host);
  if (Process* found = processes.Find({host, line.tag}, line.pid); found != nullptr) return found;
  if (line.tag.size() <= kKeyTagBytesMax && IsGraphic(line.tag)) return nullptr;
  key_tag.clear();
  AppendKeyTag(line.tag, key_tag);
  return processes.Find({host, key_tag});
}

Process& Assembler::Impl::FindOrAddProcess(const FramedLine& line) {
  key_tag.clear();
  AppendKeyTag(line.tag, key_tag);
  return processes.FindOrAdd({NameHost(line.host), key_tag});
}

void Assembler::Impl::MoveTo(absl::Time stamp) {
  if (!reading_start.has_value()) reading_start = stamp;
  const std::optional<absl::Time> before = clock.state().now;
  if (!clock.Take(stamp)) return;
  const absl::Time time = clock.now();
  if (before.has_value() && *before - time > options.ordinal_memory - kClockStep)
    processes.ForgetAfter(time);
  while (!live.empty() && time - live.front().last_time() > options.idle_max) {
    if (live.front().may_have_ended()) {
      End(live.begin(), v1::END_REASON_UNSPECIFIED);
      continue;
    }
    const absl::Time given_up = live.front().last_time() + options.idle_max;
    GiveUp(live.begin(), v1::END_REASON_IDLE, given_up);
  }
  while (!held.empty() && time - held.front().last_time() > options.confirmation_max) {
    Emit(held, held.begin());
  }
  while (!resting.empty() && time - resting.front().last_time() > RestMax(resting.front())) {
    FinishResting(resting.begin());
  }
  while (!screening.empty() && time - screening.front().last_time() > options.screening_max) {
    Drop(screening.begin());
  }
  while (!tombstones.empty() && time - tombstones.front().last_time() > options.idle_max) {
    DropTombstone(tombstones.begin());
  }
}

void Assembler::Impl::AddOwnLine(const FramedLine& line, const Event& event) {
  Process* process = nullptr;
  std::optional<Handle> session;
  if (!event.connection.empty()) {
    if (!screening.empty()) DropHandedOn(line, event);
    session = FindByConnection(line, event);
  } else if (process = FindProcess(line); process != nullptr && process->session.has_value()) {
    session = Find(*process->session, line.time);
    process = nullptr;  // With its session it may be gone.
  }
  if (session.has_value() && event.one_connection && !(*session)->ServesOn(event)) {
    if ((*session)->tombstone()) {
      DropTombstone(*session);
    } else {
      End(*session,
          (*session)->may_have_ended() ? v1::END_REASON_UNSPECIFIED : v1::END_REASON_SUPERSEDED);
    }
    session.reset();
  }
  if (IsBeginning(event.type) && session.has_value()) {
    if ((*session)->tombstone()) {
      DropTombstone(*session);
    } else if ((*session)->may_be_handed_on()) {
      Drop(*session);
    } else {
      End(*session, v1::END_REASON_SUPERSEDED);
    }
    session.reset();
  }
  if (!session.has_value()) {
    // Lines may tell of deliveries after a connection of this host's is gone.
    if (!(event.outbound ? IsBeginning(event.type) : StartsSession(event.type)) ||
        event.only_continues) {
      return;
    }
    session = Start(line, event, process);
    if (!session.has_value()) return;
  }
  if ((*session)->tombstone()) {
    SwallowLine(*session, line.time, event.type);
    return;
  }
  if ((*session)->may_be_handed_on()) {
    (*session)->set_may_be_handed_on(event.may_be_handed_on);
    List& list = ListOf(*session);
    list.splice(list.end(), screening, *session);
  } else {
    live.splice(live.end(), live, *session);
  }
  (*session)->Take(line.time, event);
  if (event.type == EventType::kHandedOn && (*session)->handed_on()) {
    // One at a time: the next line of the process takes back what this one said, or nothing.
    Process& screener = *(*session)->process;
    const std::optional<Handle> former = screener.session;
    if (former.has_value() && former != session && (*former)->handed_on()) Drop(*former);
    screener.session = *session;
  }
  if (event.type == EventType::kQueueIdAssigned) AddQueueId(*session, event.queue_id);
  if (event.type == EventType::kDisconnect ||
      (event.type == EventType::kTransaction && (*session)->lost())) {
    End(*session, v1::END_REASON_DISCONNECT);
  }
  if (event.type == EventType::kProcessDying) End(*session, v1::END_REASON_ABORTED);
}

std::optional<Assembler::Impl::Handle> Assembler::Impl::FindByConnection(const FramedLine& line,
                                                                         const Event& event) {
  const auto found = by_connection.find(IdName(KeyHost(line.host), event.connection));
  if (found == by_connection.end()) return std::nullopt;
  const Handle session = found->second;
  if (!session->may_be_handed_on()) return Find(session, line.time);
  if (line.time - session->last_time() <= options.screening_max) return session;
  Drop(session);
  return std::nullopt;
}

Assembler::Impl::List& Assembler::Impl::ListOf(Handle session) {
  return session->may_be_handed_on() ? screening : live;
}

void Assembler::Impl::DropHandedOn(const FramedLine& line, const Event& event) {
  const Process* const process = FindProcess(line);
  if (process == nullptr || !process->session.has_value()) return;
  const Handle session = *process->session;
  if (session->handed_on() && session->connection() != event.connection) Drop(session);
}

void Assembler::Impl::Drop(Handle screened) {
  Release(screened);
  Recycle(screening, screened);
}

// The clock moves in steps, and a session or tombstone that is past its time may
// stand behind the list's head: what becomes of a line depends on its own time.
std::optional<Assembler::Impl::Handle> Assembler::Impl::Find(Handle session, absl::Time time) {
  if (session->resting()) {
    if (time - session->last_time() <= RestMax(*session)) return session;
    FinishResting(session);
    return std::nullopt;
  }
  if (time - session->last_time() <= options.idle_max) return session;
  if (session->may_have_ended()) {
    End(session, v1::END_REASON_UNSPECIFIED);
    return std::nullopt;
  }
  if (!session->tombstone()) {
    GiveUp(session, v1::END_REASON_IDLE, session->last_time() + options.idle_max);
    if (time - session->last_time() <= options.idle_max) return session;
  }
  DropTombstone(session);
  return std::nullopt;
}

// Returns nullopt for a cut session whose first line seen is its last.
std::optional<Assembler::Impl::Handle> Assembler::Impl::Start(const FramedLine& line,
                                                              const Event& event,
                                                              Process* process) {
  // Of a cut session no line that starts it was read: it takes no ordinal.
  // One too many would name later sessions of the stamp unlike any other reading.
  const bool cut = !IsBeginning(event.type) && !CoversConnection(line.time, event);
  if (cut) {
    observer.OnCutSession();
    if (event.type == EventType::kDisconnect) return std::nullopt;
  }
  // A further message has a queue id of its own, younger than the connection. One that comes
  // soon after the reading began is taken for the first, as those of Exim are.
  const bool may_have_begun =
      (event.type == EventType::kMessageAccepted || event.type == EventType::kTransaction) &&
      event.connection_time.has_value() && line.time - *reading_start <= options.inbound_rest_max;
  return Begin(line, event, cut, line.time == reading_start || may_have_begun, process);
}

Assembler::Impl::Handle Assembler::Impl::Begin(const FramedLine& line, const Event& event, bool cut,
                                               bool uncertain, Process* process) {
  MakeRoom(line.time);
  if (spare.empty()) spare.emplace_back();
  const Handle session = spare.begin();
  if (event.may_be_handed_on) session->set_may_be_handed_on(true);
  List& list = cut ? tombstones : ListOf(session);
  list.splice(list.end(), spare, session);

  if (process == nullptr) process = &FindOrAddProcess(line);
  session->process = process;
  if (event.connection.empty()) {
    process->session = session;
  } else {
    ++process->connections;
  }
  uint32_t ordinal = 0;
  if (!cut) {
    int64_t forgotten = 0;
    ordinal = processes.NextOrdinal(*process, line.time, clock.now(), forgotten);
    for (; forgotten > 0; --forgotten) observer.OnForgottenOrdinal();
  }
  session->Begin(KeyHost(line.host), process->tag, line.time, ordinal, uncertain);
  if (!event.connection.empty()) {
    session->NameConnection(event.connection);
    by_connection.insert_or_assign(IdName(session->host(), event.connection), session);
  }
  if (cut) {
    session->BecomeTombstone(line.time);
  } else if (event.outbound) {
    session->BeginOutbound(ServiceOf(*process));
  }
  if (!cut) session->TakeService(event);
  return session;
}

void Assembler::Impl::Release(Handle session) {
  Process& process = *std::exchange(session->process, nullptr);
  if (session->connection().empty()) {
    processes.Free(process);
    return;
  }
  if (process.session == session) process.session.reset();
  by_connection.erase(IdName(session->host(), session->connection()));
  processes.FreeConnection(process);
}

void Assembler::Impl::SwallowLine(Handle tombstone, absl::Time time, EventType type) {
  if (type == EventType::kDisconnect || type == EventType::kProcessDying) {
    DropTombstone(tombstone);
    return;
  }
  tombstone->set_last_time(time);
  tombstones.splice(tombstones.end(), tombstones, tombstone);
}

// A session of before the reading may have been given up in the meantime and
// its tombstone may stand: only after that is a line without a beginning a
// session that any reading would see.
bool Assembler::Impl::Covers(absl::Time time) const {
  return time - *reading_start >= 2 * options.idle_max;
}

void Assembler::Impl::AddUnframedLine(const FramedLine& header, const Event& event) {
  FramedLine line = header;
  if (const int64_t pid = header.pid >= 0 ? header.pid : event.pid;
      pid >= 0 && line.tag.size() == line.program.size()) {
    process_tag.assign(line.tag).append(absl::StrCat("[", pid, "]"));
    line.tag = process_tag;
    line.pid = pid;
  }
  std::optional<Handle> session = FindUnframed(line, event);
  const bool begins = !session.has_value();
  if (begins) {
    // A remark that shows TLS may be all that is logged of a client.
    const bool shows_client = !event.outbound && event.connection_tls == DeliveryTls::kEstablished;
    if (!StartsSession(event.type) && !shows_client) return;
    session = StartUnframed(line, event);
  }
  if ((*session)->tombstone()) {
    SwallowLine(*session, line.time, event.type);
    return;
  }
  List& list = (*session)->resting() ? resting : live;
  RemoveConnection(*session);
  (*session)->Take(line.time, event);
  if (begins && event.type != EventType::kConnect) (*session)->set_rests();
  List& next = (*session)->resting() ? resting : live;
  next.splice(next.end(), list, *session);
  if (event.type != EventType::kDisconnect) {
    AddConnection(*session);
  } else if ((*session)->resting()) {
    FinishResting(*session, v1::END_REASON_DISCONNECT);
  } else {
    End(*session, v1::END_REASON_DISCONNECT);
  }
}

std::optional<Assembler::Impl::Handle> Assembler::Impl::FindUnframed(const FramedLine& line,
                                                                     const Event& event) {
  if (event.outbound && event.delivery.connection_uses == 0) return FindConnection(line, event);
  std::optional<Handle> session;
  if (!event.connection.empty()) {
    session = FindByConnection(line, event);
  } else if (const Process* process = FindProcess(line);
             process != nullptr && process->session.has_value()) {
    session = Find(*process->session, line.time);
  }
  if (!session.has_value() || (*session)->GoesOn(line.time, line.tag, event)) return session;
  Leave(*session);
  return std::nullopt;
}

Assembler::Impl::Handle Assembler::Impl::StartUnframed(const FramedLine& line, const Event& event) {
  const bool cut = event.type != EventType::kConnect && !CoversUnframed(line.time, event);
  if (cut) observer.OnCutSession();
  // A client's earlier messages over this connection may be missing: then it has another key.
  const bool may_have_begun = event.type != EventType::kConnect && !event.outbound &&
                              event.connection_age_seconds < 0 &&
                              line.time - *reading_start <= options.inbound_rest_max;
  const Handle session =
      Begin(line, event, cut, line.time == reading_start || may_have_begun, nullptr);
  if (cut && event.outbound) session->TakeServer(event);
  return session;
}

// A message may have come over a connection of before the reading. It is taken for the first:
// to leave out all that come in the first minutes would be worse than to count a connection
// twice, of which a reading that began elsewhere has seen the beginning.
bool Assembler::Impl::CoversUnframed(absl::Time time, const Event& event) const {
  if (event.connection_age_seconds >= 0) {
    return time - absl::Seconds(event.connection_age_seconds) >= *reading_start;
  }
  if (Covers(time)) return true;
  if (event.outbound) {
    return event.delivery.connection_uses > 0 && !event.delivery.further_recipient;
  }
  // The line of its beginning is logged where that of its end is.
  return event.type != EventType::kClosed || event.connection.empty();
}

absl::Duration Assembler::Impl::RestMax(const OpenSession& session) const {
  if (session.outbound()) return options.rest_max;
  return session.closed() ? options.closed_rest_max : options.inbound_rest_max;
}

bool Assembler::Impl::CoversConnection(absl::Time time, const Event& event) const {
  const double age_seconds = event.connection_age_seconds;
  if (age_seconds >= 0 && time - *reading_start >= absl::Seconds(age_seconds)) return true;
  if (event.connection_time.has_value()) {
    // A stamp in local time may be hours off, and one of a queue that is old says nothing.
    const absl::Duration age = time - *event.connection_time;
    const bool makes_sense = age >= -absl::Minutes(1) && age <= absl::Hours(24);
    if (makes_sense && *event.connection_time + absl::Seconds(1) > *reading_start) return true;
  }
  return Covers(time);
}

void Assembler::Impl::AddOutboundLine(const FramedLine& line, const Event& event) {
  // The delivery that follows tells which connection it is.
  if (event.type == EventType::kTlsEstablished && event.tls.reused) return;
  Process* process = FindProcess(line);
  std::optional<Handle> session;
  if (process != nullptr && process->session.has_value()) {
    session = Find(*process->session, line.time);
    process = nullptr;  // With its session it may be gone.
  }
  if (session.has_value() && (*session)->Continues(event)) {
    TakeOutboundLine(*session, line.time, event);
    return;
  }
  const bool reuses = event.type == EventType::kDelivery && event.delivery.connection_uses > 1;
  const bool may_reuse = event.type == EventType::kDelivery && event.delivery.connection_uses == 0;
  if (reuses || may_reuse || MayGoOnWithConnection(event)) {
    const bool own = session.has_value() && (*session)->GoesOnWith(event);
    if (const auto connection = own ? session : FindConnection(line, event)) {
      if (session != connection) {
        if (session.has_value()) Leave(*session);
        if ((*connection)->process != nullptr) Leave(*connection);
        Process& user = FindOrAddProcess(line);
        user.session = *connection;
        (*connection)->process = &user;
      }
      TakeOutboundLine(*connection, line.time, event);
      return;
    }
  }
  if (!StartsSession(event.type) || event.only_continues) return;

  // All lines since the process's last session were read.
  const bool knows_process = session.has_value() && (*session)->last_time() >= *reading_start;
  const bool cut = reuses || !(knows_process || CoversOutbound(line.time, event));
  // Of a cut session nobody knows whether it has an ordinal of this stamp.
  const bool uncertain =
      line.time == reading_start ||
      (session.has_value() && (*session)->uncertain() && (*session)->stamp() == line.time);
  if (session.has_value()) Leave(*session);
  if (cut) observer.OnCutSession();
  session = Begin(line, event, cut, uncertain, process);
  if (cut) {
    (*session)->set_uncertain();
    (*session)->TakeServer(event);
  }
  TakeOutboundLine(*session, line.time, event);
}

void Assembler::Impl::TakeOutboundLine(Handle session, absl::Time time, const Event& event) {
  if (session->tombstone()) {
    session->Follow(event);
    session->set_last_time(time);
    tombstones.splice(tombstones.end(), tombstones, session);
    return;
  }
  List& list = session->resting() ? resting : live;
  RemoveConnection(session);
  session->Take(time, event);
  if (event.type == EventType::kProcessDying) {
    End(session, v1::END_REASON_ABORTED);
    return;
  }
  List& next = session->resting() ? resting : live;
  next.splice(next.end(), list, session);
  AddConnection(session);
}

// A line that tells of a handshake is always the first.
bool Assembler::Impl::CoversOutbound(absl::Time time, const Event& event) const {
  if (event.type != EventType::kDelivery && event.type != EventType::kServerGivenUp) return true;
  const double age_seconds = event.delivery.connection_age_seconds;
  if (age_seconds >= 0 && time - *reading_start >= absl::Seconds(age_seconds)) return true;
  return Covers(time);
}

namespace {

uint64_t ServerHash(std::string_view host, std::string_view address) {
  const NameHash hash;
  return MixHash(hash(host), hash(address));
}

}  // namespace

std::optional<Assembler::Impl::Handle> Assembler::Impl::FindConnection(const FramedLine& line,
                                                                       const Event& event) {
  // Connections that are used again were used just before.
  constexpr int kLooksMax = 256;
  const std::string_view host = KeyHost(line.host);
  const auto newest = connections.find(ServerHash(host, event.peer.address));
  if (newest == connections.end()) return std::nullopt;
  std::optional<Handle> next = newest->second;
  for (int i = 0; next.has_value() && i < kLooksMax; ++i, next = (*next)->older) {
    const Handle session = *next;
    if (session->host() != host || line.time - session->last_time() > options.rest_max) continue;
    if (event.delivery.connection_uses == 0 && !event.unframed && session->tag() != line.tag) {
      continue;
    }
    if (session->GoesOnWith(event)) return session;
  }
  return std::nullopt;
}

void Assembler::Impl::AddConnection(Handle session) {
  if (!session->resting() || session->connection_uses() == 0) return;
  const Session::Peer& server = session->session().peer;
  const auto [entry, added] =
      connections.try_emplace(ServerHash(session->host(), server.address), session);
  session->reusable = true;
  if (added) return;
  session->older = entry->second;
  entry->second->newer = session;
  entry->second = session;
}

void Assembler::Impl::RemoveConnection(Handle session) {
  if (!std::exchange(session->reusable, false)) return;
  const auto older = std::exchange(session->older, std::nullopt);
  const auto newer = std::exchange(session->newer, std::nullopt);
  if (older.has_value()) (*older)->newer = newer;
  if (newer.has_value()) {
    (*newer)->older = older;
    return;
  }
  const Session::Peer& server = session->session().peer;
  const auto entry = connections.find(ServerHash(session->host(), server.address));
  if (older.has_value()) {
    entry->second = *older;
  } else {
    connections.erase(entry);
  }
}

void Assembler::Impl::Leave(Handle session) {
  if (session->tombstone()) {
    DropTombstone(session);
  } else if (session->resting()) {
    Release(session);
  } else {
    End(session, v1::END_REASON_SUPERSEDED);
  }
}

void Assembler::Impl::FinishResting(Handle session, v1::EndReason reason) {
  RemoveConnection(session);
  if (session->process != nullptr) Release(session);
  session->End(reason, Service());
  Emit(resting, session);
}

void Assembler::Impl::AddQueueId(Handle session, std::string_view id) {
  const bool room = static_cast<int64_t>(by_queue_id.size()) < options.queue_ids_max;
  if (!session->AddQueueId(id, room)) return;
  auto [entry, added] = by_queue_id.try_emplace(IdName(session->host(), id), session);
  if (added) return;
  // Queue ids are used again: this one is another message by now.
  const Handle former = std::exchange(entry->second, session);
  former->ResolveQueueId(id, /*confirmed=*/false);
  if (former->ended() && !former->AwaitsQueueIds()) Emit(held, former);
}

void Assembler::Impl::ResolveQueueId(const FramedLine& line, std::string_view id, bool confirmed) {
  auto entry = by_queue_id.find(IdName(KeyHost(line.host), id));
  if (entry == by_queue_id.end()) return;
  const Handle session = entry->second;
  if (session->ended() && line.time - session->last_time() > options.confirmation_max) {
    Emit(held, session);
    return;
  }
  by_queue_id.erase(entry);
  session->ResolveQueueId(id, confirmed);
  if (session->ended() && !session->AwaitsQueueIds()) Emit(held, session);
}

// The master tells neither instance nor service, but no two processes of a
// host have one id.
void Assembler::Impl::AbortProcess(const FramedLine& line, const Event& event) {
  std::string suffix = "/";
  suffix.append(event.program_name).append(absl::StrCat("[", event.pid, "]"));
  const std::string_view host = KeyHost(line.host);
  Abort([&](const OpenSession& session) {
    return session.tag().ends_with(suffix) && session.host() == host;
  });
}

void Assembler::Impl::AbortInstance(const FramedLine& line) {
  // "postfix/" of "postfix/master", else "smtpd[".
  const size_t slash = line.program.rfind('/');
  const std::string prefix = slash == std::string_view::npos
                                 ? std::string(line.program) + "["
                                 : std::string(line.program.substr(0, slash + 1));
  const std::string_view host = KeyHost(line.host);
  Abort([&](const OpenSession& session) {
    return session.tag().starts_with(prefix) && session.host() == host;
  });
}

// Postfix hands on without a line what failed a test that is to be ignored, of which there
// is a line: a connection that has none but its first was not handed on.
template <typename Predicate>
void Assembler::Impl::Abort(Predicate is_aborted) {
  for (auto next = screening.begin(); next != screening.end();) {
    const Handle session = next++;
    if (!is_aborted(*session)) continue;
    if (session->session().rank.lines_used > 1) {
      Drop(session);
      continue;
    }
    session->set_may_be_handed_on(false);
    live.splice(live.end(), screening, session);
  }
  for (auto next = live.begin(); next != live.end();) {
    const Handle session = next++;
    if (is_aborted(*session)) End(session, v1::END_REASON_ABORTED);
  }
}

const Service& Assembler::Impl::ServiceOf(Process& process) {
  if (process.service.name.empty()) process.service = mxtally::ServiceOf(process.tag);
  return process.service;
}

void Assembler::Impl::End(Handle session, v1::EndReason reason) {
  if (session->connecting()) {
    Release(session);
    Recycle(live, session);
    return;
  }
  session->End(reason, ServiceOf(*session->process));
  Release(session);
  if (session->AwaitsQueueIds()) {
    held.splice(held.end(), live, session);
  } else {
    Emit(live, session);
  }
}

void Assembler::Impl::GiveUp(Handle session, v1::EndReason reason, absl::Time tombstone_time) {
  if (session->connecting()) {
    End(session, reason);
    return;
  }
  for (const std::string& id : session->open_queue_ids()) {
    by_queue_id.erase(IdName(session->host(), id));
  }
  session->End(reason, ServiceOf(*session->process));
  observer.OnSession(session->Finish(peers));
  observer.OnEvictedSession();
  session->BecomeTombstone(tombstone_time);
  tombstones.splice(tombstones.end(), live, session);
}

void Assembler::Impl::Emit(List& list, Handle session) {
  for (const std::string& id : session->open_queue_ids()) {
    by_queue_id.erase(IdName(session->host(), id));
  }
  observer.OnSession(session->Finish(peers));
  Recycle(list, session);
}

void Assembler::Impl::DropTombstone(Handle tombstone) {
  Release(tombstone);
  Recycle(tombstones, tombstone);
}

void Assembler::Impl::DropFrom(absl::Time stamp) {
  for (List* list : {&live, &screening, &tombstones}) {
    for (auto next = list->begin(); next != list->end();) {
      const Handle session = next++;
      if (session->stamp() < stamp) continue;
      for (const std::string& id : session->open_queue_ids()) {
        by_queue_id.erase(IdName(session->host(), id));
      }
      Release(session);
      Recycle(*list, session);
    }
  }
  processes.ForgetFrom(stamp);
}

void Assembler::Impl::Recycle(List& list, Handle session) {
  if (spare.size() >= kSpareSessionsMax) {
    list.erase(session);
    return;
  }
  session->Clear();
  spare.splice(spare.begin(), list, session);
}

// What costs least goes first: a tombstone, then what is most likely another service's
// session, then a session that only waits to be confirmed, then the least recently used.
void Assembler::Impl::MakeRoom(absl::Time time) {
  auto full = [this] {
    return static_cast<int64_t>(live.size() + screening.size() + tombstones.size() + held.size() +
                                resting.size()) >= options.open_sessions_max;
  };
  while (full() && GiveUpOne(time)) {
  }
}

bool Assembler::Impl::GiveUpOne(absl::Time time) {
  if (!tombstones.empty()) {
    DropTombstone(tombstones.begin());
  } else if (!screening.empty()) {
    Drop(screening.begin());
  } else if (!held.empty()) {
    Emit(held, held.begin());
  } else if (!resting.empty()) {
    FinishResting(resting.begin());
  } else if (!live.empty()) {
    GiveUp(live.begin(), v1::END_REASON_EVICTED, time);
  } else {
    return false;
  }
  return true;
}

Assembler::Assembler(AssemblerOptions options, AssemblerObserver& observer)
    : impl_(std::make_unique<Impl>(std::move(options), observer)) {}

Assembler::~Assembler() = default;

void Assembler::Restore(const agent::v1::AssemblerState& state) {
  for (const agent::v1::OpenSession& saved : state.open_sessions()) {
    Impl::List one;
    const Impl::Handle session = one.emplace(one.end());
    session->Restore(saved);
    Impl::List& list = session->tombstone() ? impl_->tombstones
                       : session->ended()   ? impl_->held
                       : session->resting() ? impl_->resting
                                            : impl_->ListOf(session);
    list.splice(list.end(), one);
    impl_->AddConnection(session);
    const std::string& tag = session->resting() ? saved.process_tag() : session->tag();
    if (!session->ended() && !tag.empty()) {
      Process& process = impl_->processes.FindOrAdd({impl_->NameHost(session->host()), tag});
      session->process = &process;
      if (session->connection().empty()) {
        process.session = session;
      } else {
        ++process.connections;
        if (session->handed_on()) process.session = session;
        impl_->by_connection.insert_or_assign(impl_->IdName(session->host(), session->connection()),
                                              session);
      }
    }
    for (const std::string& id : session->open_queue_ids()) {
      impl_->by_queue_id.insert_or_assign(impl_->IdName(session->host(), id), session);
    }
  }
  impl_->processes.Restore(state.ordinals());
  LogClock::State clock;
  if (state.has_log_time()) clock.now = GetTimestamp(state.log_time());
  if (state.has_jump_time()) clock.jump = GetTimestamp(state.jump_time());
  impl_->clock.Restore(clock);
  if (state.has_reading_start()) impl_->reading_start = GetTimestamp(state.reading_start());
}

void Assembler::Save(agent::v1::AssemblerState& state) const {
  state.clear_open_sessions();
  for (const Impl::List* list :
       {&impl_->live, &impl_->screening, &impl_->held, &impl_->resting, &impl_->tombstones}) {
    for (const ProcessSession& session : *list) {
      agent::v1::OpenSession& saved = *state.add_open_sessions();
      session.Save(saved);
      if (session.resting() && session.process != nullptr) {
        saved.set_process_tag(session.process->tag);
      }
    }
  }
  impl_->processes.Save(*state.mutable_ordinals());
  state.clear_reading_start();
  if (impl_->reading_start.has_value()) {
    SetTimestamp(*impl_->reading_start, *state.mutable_reading_start());
  }
  state.clear_log_time();
  state.clear_jump_time();
  const LogClock::State& clock = impl_->clock.state();
  if (clock.now.has_value()) SetTimestamp(*clock.now, *state.mutable_log_time());
  if (clock.jump.has_value()) SetTimestamp(*clock.jump, *state.mutable_jump_time());
}

void Assembler::Add(const FramedLine& line, const Event& event) {
  impl_->MoveTo(line.time);
  switch (event.type) {
    case EventType::kQueueIdActive:
    case EventType::kQueueIdCanceled:
      impl_->ResolveQueueId(line, event.queue_id, event.type == EventType::kQueueIdActive);
      break;
    case EventType::kProcessDied:
      impl_->AbortProcess(line, event);
      break;
    case EventType::kInstanceBoundary:
      impl_->AbortInstance(line);
      break;
    default:
      if (event.unframed) {
        impl_->AddUnframedLine(line, event);
      } else if (event.outbound && event.connection.empty()) {
        impl_->AddOutboundLine(line, event);
      } else {
        impl_->AddOwnLine(line, event);
      }
      break;
  }
}

void Assembler::Tick(absl::Time time) { impl_->MoveTo(time); }

void Assembler::OnGap() { impl_->reading_start.reset(); }

void Assembler::OnLogBeginsAgain(absl::Time stamp) {
  FinishHeld();
  impl_->DropFrom(stamp);
}

void Assembler::FinishHeld() {
  for (auto next = impl_->live.begin(); next != impl_->live.end();) {
    const Impl::Handle session = next++;
    if (session->may_have_ended()) impl_->End(session, v1::END_REASON_UNSPECIFIED);
  }
  while (!impl_->held.empty()) impl_->Emit(impl_->held, impl_->held.begin());
  while (!impl_->resting.empty()) impl_->FinishResting(impl_->resting.begin());
}

void Assembler::VisitOpen(const std::function<void(const Session&)>& visit) const {
  for (const OpenSession& open : impl_->live) visit(open.session());
}

int64_t Assembler::remembered() const {
  return open_sessions() + static_cast<int64_t>(impl_->screening.size() + impl_->tombstones.size());
}

int64_t Assembler::ordinals() const { return impl_->processes.size(); }

void Assembler::GiveUpOne() { impl_->GiveUpOne(impl_->clock.now()); }

void Assembler::ForgetOldestOrdinals() {
  for (int64_t left = impl_->processes.ForgetOldest(); left > 0; --left) {
    impl_->observer.OnForgottenOrdinal();
  }
}

void Assembler::GiveUpAll() {
  FinishHeld();
  while (!impl_->screening.empty()) impl_->Drop(impl_->screening.begin());
  while (!impl_->live.empty()) {
    const Impl::Handle session = impl_->live.begin();
    impl_->GiveUp(session, v1::END_REASON_IDLE, session->last_time() + impl_->options.idle_max);
  }
}

int64_t Assembler::open_sessions() const {
  return static_cast<int64_t>(impl_->live.size() + impl_->held.size() + impl_->resting.size());
}

std::optional<absl::Time> Assembler::oldest_open() const {
  std::optional<absl::Time> oldest;
  for (const Impl::List* list : {&impl_->live, &impl_->held, &impl_->resting}) {
    for (const OpenSession& session : *list) {
      const absl::Time stamp = session.stamp();
      oldest = oldest.has_value() ? std::min(*oldest, stamp) : stamp;
    }
  }
  return oldest;
}

}  // namespace mxtally
