#include "agent/session/assembler.h"

#include <algorithm>
#include <string>
#include <utility>

#include "agent/session/framed_sessions.h"
#include "agent/session/outbound_sessions.h"
#include "agent/session/reusable_connections.h"
#include "agent/session/session_life.h"
#include "agent/session/session_table.h"
#include "agent/session/unframed_sessions.h"
#include "proto/timestamps/timestamps.h"

namespace mxtally {
namespace {

// Forgets sessions that began at `stamp` or later, and their ordinals.
void ForgetFrom(SessionTable& table, absl::Time stamp) {
  for (SessionList* list : {&table.live, &table.told, &table.screening, &table.tombstones}) {
    for (auto next = list->begin(); next != list->end();) {
      const SessionHandle session = next++;
      if (session->stamp() >= stamp) Forget(table, session);
    }
  }
  table.processes.ForgetFrom(stamp);
}

// Passes over one that contradicts those before it, of a checkpoint that no agent wrote.
void RestoreSession(SessionTable& table, const agent::v1::OpenSession& saved) {
  SessionList one;
  const SessionHandle session = one.emplace(one.end());
  session->Restore(saved);
  const std::string& tag = session->resting() ? saved.process_tag() : session->tag();
  if (!session->ended && !tag.empty()) {
    Process& process = table.processes.FindOrAdd({ProcessHost(table, session->host()), tag});
    const bool is_served = process.session.has_value();
    if (session->connection.empty()) {
      if (is_served) return;
      process.session = session;
    } else {
      ++process.connections;
      if (session->handed_on() && !is_served) process.session = session;
      if (!saved.connection_is_anothers()) {
        table.by_connection.insert_or_assign(IdName(table, session->host(), session->connection),
                                             session);
      }
    }
    session->process = &process;
  } else if (!session->ended && !session->resting()) {
    return;
  }
  SessionList& list = ListOf(table, session);
  list.splice(list.end(), one);
  AddReusable(table, session);
  for (const std::string& id : session->open_queue_ids) {
    table.by_queue_id.insert_or_assign(IdName(table, session->host(), id), session);
  }
}

}  // namespace

Assembler::Assembler(AssemblerOptions options, AssemblerObserver& observer)
    : table_(std::make_unique<SessionTable>(std::move(options), observer)) {}

Assembler::~Assembler() = default;

void Assembler::Restore(const agent::v1::AssemblerState& state) {
  for (const agent::v1::OpenSession& saved : state.open_sessions()) RestoreSession(*table_, saved);
  table_->processes.Restore(state.ordinals());
  table_->tls_logging.Restore(state.tls_logging());
  LogClock::State clock;
  if (state.has_log_time()) clock.now = GetTimestamp(state.log_time());
  if (state.has_jump_time()) clock.jump = GetTimestamp(state.jump_time());
  table_->clock.Restore(clock);
  if (state.has_reading_start()) table_->reading_start = GetTimestamp(state.reading_start());
}

void Assembler::Save(agent::v1::AssemblerState& state) const {
  SessionTable& table = *table_;
  state.clear_open_sessions();
  for (const SessionList* list : {&table.live, &table.told, &table.screening, &table.held,
                                  &table.resting, &table.tombstones}) {
    for (const ProcessSession& session : *list) {
      agent::v1::OpenSession& saved = *state.add_open_sessions();
      session.Save(saved);
      if (session.process == nullptr) continue;
      if (session.resting()) saved.set_process_tag(session.process->tag);
      if (session.connection.empty()) continue;
      const auto named =
          table.by_connection.find(IdName(table, session.host(), session.connection));
      saved.set_connection_is_anothers(named == table.by_connection.end() ||
                                       &*named->second != &session);
    }
  }
  table.processes.Save(*state.mutable_ordinals());
  table.tls_logging.Save(*state.mutable_tls_logging());
  state.clear_reading_start();
  if (table.reading_start.has_value()) {
    SetTimestamp(*table.reading_start, *state.mutable_reading_start());
  }
  state.clear_log_time();
  state.clear_jump_time();
  const LogClock::State& clock = table.clock.state();
  if (clock.now.has_value()) SetTimestamp(*clock.now, *state.mutable_log_time());
  if (clock.jump.has_value()) SetTimestamp(*clock.jump, *state.mutable_jump_time());
}

void Assembler::Add(const FramedLine& line, const Event& event) {
  SessionTable& table = *table_;
  MoveTo(table, line.time);
  switch (event.type) {
    case EventType::kQueueIdActive:
    case EventType::kQueueIdCanceled:
      ResolveQueueId(table, line, event.queue_id, event.type == EventType::kQueueIdActive);
      break;
    case EventType::kProcessDied:
      AbortProcess(table, line, event);
      break;
    case EventType::kInstanceBoundary:
      AbortInstance(table, line);
      break;
    default:
      if (event.unframed) {
        AddUnframedLine(table, line, event);
      } else if (event.outbound && event.connection.empty()) {
        AddOutboundLine(table, line, event);
      } else {
        AddFramedLine(table, line, event);
      }
      break;
  }
}

void Assembler::Tick(absl::Time time) { MoveTo(*table_, time); }

void Assembler::OnGap() { table_->reading_start.reset(); }

void Assembler::OnLogBeginsAgain(absl::Time stamp) {
  FinishHeld();
  ForgetFrom(*table_, stamp);
}

void Assembler::FinishHeld() {
  SessionTable& table = *table_;
  for (auto next = table.live.begin(); next != table.live.end();) {
    const SessionHandle session = next++;
    if (session->may_have_ended()) End(table, session, v1::END_REASON_UNSPECIFIED);
  }
  while (!table.held.empty()) Expire(table, table.held.begin());
  while (!table.resting.empty()) Expire(table, table.resting.begin());
}

void Assembler::GiveUpAll() {
  FinishHeld();
  while (!table_->told.empty()) Expire(*table_, table_->told.begin());
  while (!table_->screening.empty()) Expire(*table_, table_->screening.begin());
  while (!table_->live.empty()) Expire(*table_, table_->live.begin());
}

void Assembler::VisitOpen(const std::function<void(const Session&)>& visit) const {
  for (const OpenSession& open : table_->live) visit(open.fields);
}

int64_t Assembler::remembered() const { return SessionCount(*table_); }

int64_t Assembler::ordinals() const { return table_->processes.size(); }

void Assembler::GiveUpOne() { mxtally::GiveUpOne(*table_, table_->clock.now()); }

void Assembler::ForgetOldestOrdinals() {
  for (int64_t left = table_->processes.ForgetOldest(); left > 0; --left) {
    table_->observer.OnForgottenOrdinal();
  }
}

int64_t Assembler::open_sessions() const {
  return static_cast<int64_t>(table_->live.size() + table_->held.size() + table_->resting.size());
}

std::optional<absl::Time> Assembler::oldest_open() const {
  std::optional<absl::Time> oldest;
  for (const SessionList* list : {&table_->live, &table_->held, &table_->resting}) {
    for (const OpenSession& session : *list) {
      const absl::Time stamp = session.stamp();
      oldest = oldest.has_value() ? std::min(*oldest, stamp) : stamp;
    }
  }
  return oldest;
}

}  // namespace mxtally
